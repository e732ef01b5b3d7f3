-- The bill of every session: what was ordered, how it was split, what has been paid.
-- ordered_cents = split_cents in every session whose bill was split; anything else is corruption.
CREATE VIEW session_bills WITH (security_invoker = true) AS
SELECT
  s.id AS table_session_id,
  s.restaurant_id,
  s.status,
  s.created_at,
  coalesce(o.cents, 0) AS ordered_cents,
  coalesce(p.cents, 0) AS split_cents,
  coalesce(p.paid_cents, 0) AS paid_cents
FROM table_sessions AS s
LEFT JOIN LATERAL (
  SELECT sum(total_cents)::integer AS cents
  FROM orders
  WHERE orders.table_session_id = s.id AND orders.status <> 'CANCELLED'
) AS o ON true
LEFT JOIN LATERAL (
  SELECT
    sum(amount_cents)::integer AS cents,
    (sum(amount_cents) FILTER (WHERE payment_status = 'PAID'))::integer AS paid_cents
  FROM split_payments
  WHERE split_payments.table_session_id = s.id
) AS p ON true;
