-- The bill is split into shares; each share is collected by one or more payment attempts.

CREATE TABLE split_payments (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  table_session_id uuid NOT NULL,
  guest_number smallint NOT NULL,
  amount_cents money_cents NOT NULL,
  currency currency_code NOT NULL DEFAULT 'BRL',
  payment_status "PaymentStatus" NOT NULL DEFAULT 'PENDING',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT split_payments_guest_key UNIQUE (table_session_id, guest_number),
  CONSTRAINT split_payments_guest_fkey
    FOREIGN KEY (table_session_id, guest_number) REFERENCES table_session_guests (table_session_id, guest_number)
);
COMMENT ON TABLE split_payments IS 'Who owes which part of a session''s bill; the parts of a session add up to it';
-- Rows lie on disk in the order of created_at, so a few kilobytes of BRIN find the last 24 hours.
CREATE INDEX split_payments_created_at_idx ON split_payments USING brin (created_at);

CREATE TABLE payments (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  split_payment_id bigint NOT NULL REFERENCES split_payments,
  attempt smallint NOT NULL DEFAULT 1 CHECK (attempt > 0),
  method "PaymentMethod" NOT NULL,
  gateway "PaymentGateway",
  status "PaymentStatus" NOT NULL DEFAULT 'PENDING',
  amount_cents money_cents NOT NULL,
  currency currency_code NOT NULL DEFAULT 'BRL',
  metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT payments_split_payment_id_attempt_key UNIQUE (split_payment_id, attempt),
  CONSTRAINT payments_gateway CHECK (
    CASE method WHEN 'CASH' THEN gateway IS NULL WHEN 'PIX' THEN gateway = 'mercadopago' ELSE gateway IS NOT NULL END
  )
);
COMMENT ON COLUMN payments.metadata IS 'What the gateway answered: its reference, the card, decline_code';
-- A share is never collected twice, also when two waiters press the button together.
CREATE UNIQUE INDEX payments_paid_once_key ON payments (split_payment_id) WHERE status = 'PAID';
CREATE INDEX payments_failed_idx ON payments (created_at) WHERE status = 'FAILED';
CREATE INDEX payments_created_at_idx ON payments USING brin (created_at);
