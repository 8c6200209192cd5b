-- Why a run could not go on to its end.
ALTER TABLE runs ADD COLUMN error TEXT;
