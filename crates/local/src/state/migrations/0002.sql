-- What a run left unread, and the insight records it passed over.
ALTER TABLE runs ADD COLUMN insight INTEGER;
ALTER TABLE runs ADD COLUMN unread INTEGER;
UPDATE runs SET insight = 0, unread = 0 WHERE ended IS NOT NULL;
