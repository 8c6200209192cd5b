-- What is to be collected, in order.
CREATE TABLE wanted (
    place INTEGER PRIMARY KEY,
    stream TEXT NOT NULL UNIQUE
) STRICT;

-- What could not be found out: the regions of an account, the accounts of the organisation.
CREATE TABLE unknown (
    subject TEXT PRIMARY KEY,
    trouble TEXT NOT NULL,
    message TEXT NOT NULL,
    since INTEGER NOT NULL,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
