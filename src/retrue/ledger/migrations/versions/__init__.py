"""One file per change of the ledger's tables; a released one is never edited."""
