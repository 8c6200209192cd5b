-- What a digest that is not proven could still be proven by: what is signed of it, and signatures that may be its own. Both
-- are forgotten as soon as it is proven.

-- The text, the fingerprint of the key, and about when it was signed.
ALTER TABLE digests ADD COLUMN signable TEXT;
ALTER TABLE digests ADD COLUMN fingerprint TEXT;
ALTER TABLE digests ADD COLUMN signed INTEGER;

CREATE INDEX digests_to_prove ON digests (key) WHERE NOT proven AND signable IS NOT NULL;

-- What stood beside a digest and could not be checked, and what the digest after it says its signature is. A signature
-- proves itself, whoever brings it.
CREATE TABLE digest_signatures (
    key       TEXT NOT NULL,
    signature TEXT NOT NULL,
    PRIMARY KEY (key, signature)
) STRICT, WITHOUT ROWID;
