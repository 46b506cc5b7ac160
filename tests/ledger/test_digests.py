from retrue.ledger import Digest, Ledger
from retrue.results import Severity
from tests.ledger.verdicts import DROP, EXTRA, NOW, TEAM, commit, finding, verdict, week

ROLLOUT = finding("source.versions", "", Severity.INFO)


def shown(digest: Digest) -> tuple[str, str]:
    return f"{digest.model} digest", "; ".join(item.message for item in digest.items)


def make(ledger: Ledger, model: str = "m") -> Digest | None:
    return ledger.digests.make(model, blocks=[TEAM], render=shown, now=NOW)


def test_an_info_finding_opens_no_incident_and_goes_into_one_digest(ledger: Ledger) -> None:
    commit(ledger, verdict(0, EXTRA))
    first = make(ledger)
    assert first is not None
    assert [item.check for item in first.items] == ["schema.extra"]
    assert make(ledger) is None
    assert ledger.incidents.list() == ()
    (message,) = ledger.outbox.rows(kind="notify")
    assert (message.payload["block"], message.payload["body"]) == (TEAM, "schema.extra on gust.")


def test_the_same_finding_over_windows_is_one_item(ledger: Ledger) -> None:
    for number in range(3):
        commit(ledger, verdict(number, EXTRA, *([ROLLOUT] if number == 1 else [])))
    digest = make(ledger)
    assert digest is not None
    extra, rollout = digest.items
    assert (extra.windows, extra.first_window, extra.last_window) == (3, week(0).start, week(2).start)
    assert (rollout.windows, rollout.first_window) == (1, week(1).start)


def test_a_later_revision_brings_only_what_is_new_of_its_window(ledger: Ledger) -> None:
    commit(ledger, verdict(0, EXTRA))
    make(ledger)
    commit(ledger, verdict(0, EXTRA, data="late"))
    assert make(ledger) is None
    commit(ledger, verdict(0, EXTRA, ROLLOUT, data="later"))
    second = make(ledger)
    assert second is not None
    assert [item.check for item in second.items] == ["source.versions"]


def test_breaches_and_other_models_stay_out(ledger: Ledger) -> None:
    commit(ledger, verdict(0, DROP))
    commit(ledger, verdict(0, EXTRA, model="other"))
    assert make(ledger) is None
    assert make(ledger, "other") is not None
