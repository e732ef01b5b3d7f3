-- The kinds of value that the tables are made of. Enum types carry the names that Prisma gives them.

-- ADMIN is retained: its one holder became SUPER_ADMIN, and PostgreSQL does not drop an enum value.
CREATE TYPE "UserRole" AS ENUM (
  'SUPER_ADMIN', 'ADMIN', 'CONSULTANT', 'RESTAURANT_OWNER', 'WAITER', 'KITCHEN', 'CUSTOMER'
);

-- What someone does in one restaurant. Not "UserRole": that type is replaced by the manual's procedure, which works
-- only while users.role is its one user.
CREATE TYPE "StaffPosition" AS ENUM ('OWNER', 'WAITER', 'KITCHEN');

CREATE TYPE "TableSessionStatus" AS ENUM ('OPEN', 'PAYING', 'CLOSED', 'ABANDONED');

CREATE TYPE "OrderStatus" AS ENUM ('PENDING', 'CONFIRMED', 'PREPARING', 'READY', 'DELIVERED', 'CANCELLED');

CREATE TYPE "PaymentStatus" AS ENUM ('PENDING', 'PAID', 'FAILED', 'REFUNDED');

CREATE TYPE "PaymentMethod" AS ENUM ('CARD', 'PIX', 'CASH');

CREATE TYPE "PaymentGateway" AS ENUM ('stripe', 'mercadopago');

CREATE TYPE "InventoryUnit" AS ENUM ('KG', 'LITRE', 'PIECE');

-- Only the shape that every deliverable address has; whether mail arrives is told by users.email_verified.
CREATE DOMAIN email_address AS text
  CONSTRAINT email_address_shape CHECK (VALUE ~ '^[^@[:space:]]+@[^@[:space:]]+\.[^@[:space:]]+$')
  CONSTRAINT email_address_length CHECK (length(VALUE) <= 254);

-- Money is an integer number of the currency's smallest unit: binary fractions cannot hold 0.10.
CREATE DOMAIN money_cents AS integer
  CONSTRAINT money_cents_not_negative CHECK (VALUE >= 0);

CREATE DOMAIN currency_code AS text
  CONSTRAINT currency_code_iso_4217 CHECK (VALUE ~ '^[A-Z]{3}$');
