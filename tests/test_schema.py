from retrue.results import ColumnKind, ColumnProfile, Profile
from retrue.schema import compare_schema


def profile(**kinds: tuple[ColumnKind, int]) -> Profile:
    columns = {
        name: ColumnProfile(name=name, kind=kind, type="", rows=10, nulls=nulls, null_share=nulls / 10)
        for name, (kind, nulls) in kinds.items()
    }
    return Profile(rows=10, columns=columns)


NUMBER, TEXT = (ColumnKind.NUMBER, 0), (ColumnKind.TEXT, 0)


def test_equal_schemas_do_not_differ() -> None:
    difference = compare_schema(profile(a=NUMBER, b=TEXT), profile(b=TEXT, a=NUMBER))
    assert (difference.missing, difference.extra, difference.retyped) == ((), (), ())


def test_missing_extra_and_retyped_columns_are_named_in_order() -> None:
    difference = compare_schema(profile(z=NUMBER, y=NUMBER, a=NUMBER), profile(a=TEXT, n=TEXT, m=TEXT))
    assert difference.missing == ("y", "z")
    assert difference.extra == ("m", "n")
    assert difference.retyped == (("a", ColumnKind.NUMBER, ColumnKind.TEXT),)


def test_column_of_nulls_is_not_retyped() -> None:
    nothing = (ColumnKind.TEXT, 10)
    assert compare_schema(profile(a=NUMBER), profile(a=nothing)).retyped == ()
    assert compare_schema(profile(a=nothing), profile(a=NUMBER)).retyped == ()
