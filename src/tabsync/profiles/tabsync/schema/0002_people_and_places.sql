-- Who there is, and where they eat. A row that is named outside the database (links, QR codes, the audit log) has a
-- uuid; a row that is not has an identity column.

CREATE TABLE users (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  email email_address NOT NULL,
  full_name text NOT NULL CHECK (full_name <> ''),
  -- No default on purpose: with one, ALTER COLUMN role TYPE of the manual fails (a default isn't cast along).
  role "UserRole" NOT NULL,
  password_hash text,
  email_verified boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT users_email_key UNIQUE (email)
);
COMMENT ON TABLE users IS 'Everyone with an account: the platform''s own people, restaurant staff and guests';
COMMENT ON COLUMN users.password_hash IS 'NULL: this account signs in through an identity provider only';

-- Ana@example.com and ana@example.com are one mailbox; two accounts for it would be two passwords for one person.
CREATE UNIQUE INDEX users_email_lower_key ON users (lower(email));
-- Nothing but this plain index may depend on role: no predicate, view, policy or trigger that names a value.
CREATE INDEX users_role_idx ON users (role);

CREATE TABLE restaurants (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  owner_id uuid NOT NULL REFERENCES users,
  name text NOT NULL CHECK (name <> ''),
  slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
  currency currency_code NOT NULL DEFAULT 'BRL',
  time_zone text NOT NULL DEFAULT 'America/Sao_Paulo',
  accepts_orders boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN restaurants.accepts_orders IS 'false: no new order gets in, see orders_admission()';
CREATE INDEX restaurants_owner_id_idx ON restaurants (owner_id);

CREATE TABLE staff (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  restaurant_id uuid NOT NULL REFERENCES restaurants,
  user_id uuid NOT NULL REFERENCES users,
  position "StaffPosition" NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  left_at timestamptz,
  CONSTRAINT staff_restaurant_id_user_id_key UNIQUE (restaurant_id, user_id),
  CONSTRAINT staff_leaves_after_joining CHECK (left_at > created_at)
);
COMMENT ON TABLE staff IS 'Who works in which restaurant; somebody who left stays, with left_at';
CREATE INDEX staff_user_id_idx ON staff (user_id);

CREATE TABLE dining_tables (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  restaurant_id uuid NOT NULL REFERENCES restaurants,
  number smallint NOT NULL CHECK (number > 0),
  seats smallint NOT NULL CHECK (seats BETWEEN 1 AND 20),
  qr_token uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT dining_tables_restaurant_id_number_key UNIQUE (restaurant_id, number),
  -- Aim of the foreign key that keeps a session's table and restaurant together.
  CONSTRAINT dining_tables_id_restaurant_id_key UNIQUE (id, restaurant_id)
);
COMMENT ON COLUMN dining_tables.qr_token IS 'What the code on the table says; replaced when the code is printed anew';
