-- migration: rails_create
CREATE TABLE "reviews" ("id" bigserial primary key, "account_id" bigint NOT NULL, "stars" integer DEFAULT 5, "created_at" timestamp(6) NOT NULL, "updated_at" timestamp(6) NOT NULL, CONSTRAINT "fk_rails_1" FOREIGN KEY ("account_id") REFERENCES "accounts" ("id"));
CREATE INDEX "index_reviews_on_account_id" ON "reviews" ("account_id");
CREATE INDEX "index_reviews_on_stars" ON "reviews" ("stars") WHERE (stars > 3);
INSERT INTO reviews (account_id, created_at, updated_at) VALUES (1, now(), now());

-- migration: rails_concurrently
CREATE INDEX CONCURRENTLY "index_orders_on_placed_at" ON "orders" ("placed_at");
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "index_accounts_on_lower_email" ON "accounts" (lower(email));
DROP INDEX CONCURRENTLY "index_accounts_on_email";
ALTER TABLE "orders" ADD COLUMN "currency" character varying DEFAULT 'EUR' NOT NULL;

-- migration: rails_check_not_valid
ALTER TABLE "orders" ADD CONSTRAINT "note_present" CHECK (note IS NOT NULL OR total > 0) NOT VALID;
ALTER TABLE "orders" VALIDATE CONSTRAINT "note_present";
ALTER TABLE "orders" ADD CONSTRAINT "fk_orders_owner" FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE SET NULL NOT VALID;
ALTER TABLE "orders" DROP CONSTRAINT "total_positive";

-- migration: rails_types
ALTER TABLE "accounts" ALTER COLUMN "visits" TYPE bigint;
ALTER TABLE "accounts" ALTER COLUMN "email" TYPE text;
ALTER TABLE "accounts" ALTER COLUMN "balance" TYPE decimal(14,4);
ALTER TABLE "accounts" ALTER COLUMN "visits" SET DEFAULT 0, ALTER COLUMN "visits" SET NOT NULL;
ALTER TABLE "orders" ALTER COLUMN "placed_at" SET DATA TYPE timestamp USING placed_at AT TIME ZONE 'utc';
ALTER TABLE "orders" ALTER "total" TYPE double precision;

-- migration: rails_rename
ALTER TABLE "accounts" RENAME COLUMN "status" TO "state";
ALTER INDEX "index_accounts_on_email" RENAME TO "index_accounts_on_mail";
ALTER SEQUENCE invoice_no RENAME TO invoice_number;
ALTER VIEW active_accounts RENAME TO live_accounts;
ALTER TABLE orders RENAME TO purchases;
ALTER MATERIALIZED VIEW totals RENAME TO sums;

-- migration: rails_comments
COMMENT ON TABLE "accounts" IS 'Who pays; who doesn''t';
COMMENT ON COLUMN "accounts"."email" IS 'as they wrote it';
COMMENT ON COLUMN public.orders.note IS E'two\nlines';
COMMENT ON INDEX index_accounts_on_email IS 'for logging in';
COMMENT ON FUNCTION discount(numeric, integer) IS 'what is left';
COMMENT ON TRIGGER accounts_touch ON accounts IS 't';
COMMENT ON POLICY own ON accounts IS 'p';
COMMENT ON CONSTRAINT total_positive ON orders IS 'c';
COMMENT ON SCHEMA audit IS 's';
COMMENT ON TYPE course IS 'of a meal';
COMMENT ON TABLE "accounts" IS NULL;

-- migration: rails_nameless
ALTER TABLE lines ADD PRIMARY KEY (a, b);
ALTER TABLE lines ADD COLUMN c int;
CREATE INDEX ON lines (c);
CREATE UNIQUE INDEX ON lines (b, a);
ALTER TABLE lines ADD UNIQUE (a, c);
ALTER TABLE lines ADD FOREIGN KEY (c) REFERENCES "User" ("id");
ALTER TABLE lines ADD CHECK (a > 0);

-- migration: rails_drop
DROP INDEX index_accounts_on_email;
DROP TRIGGER accounts_touch ON accounts;
DROP POLICY own ON accounts;
DROP VIEW active_accounts;
DROP MATERIALIZED VIEW totals;
DROP FUNCTION discount(numeric, int);
DROP SEQUENCE invoice_no;
DROP DOMAIN positive;
ALTER TABLE accounts DROP COLUMN visits;
DROP TABLE orders, lines;

-- migration: rails_temporary
CREATE TEMPORARY TABLE moved AS SELECT * FROM orders;
ALTER TABLE accounts ADD COLUMN region text;
DROP TABLE moved;

-- migration: rails_two_steps
CREATE TABLE orders_new (LIKE orders INCLUDING DEFAULTS);
INSERT INTO orders_new SELECT * FROM orders;
DROP TABLE orders CASCADE;
ALTER TABLE orders_new RENAME TO orders;
ALTER TABLE orders ADD PRIMARY KEY (id);

-- migration: rails_scratch
CREATE TABLE scratch (id int);
INSERT INTO scratch SELECT 1;
DROP TABLE scratch;
ALTER TABLE accounts ADD COLUMN ok boolean;

-- migration: rails_default_chain
ALTER TABLE accounts ALTER COLUMN status SET DEFAULT 'fresh';
ALTER TABLE accounts ALTER COLUMN status SET DEFAULT 'fresher';
ALTER TABLE accounts ALTER COLUMN visits SET DEFAULT -1;
ALTER TABLE accounts ALTER COLUMN balance SET DEFAULT 0.50;
ALTER TABLE accounts ALTER COLUMN owner_id SET DEFAULT gen_random_uuid();
ALTER TABLE "Post" ALTER COLUMN published SET DEFAULT true;
ALTER TABLE orders ALTER COLUMN placed_at SET DEFAULT CURRENT_TIMESTAMP;
ALTER TABLE orders ALTER COLUMN placed_at SET DEFAULT '2026-01-01';
