-- What a restaurant sells, and what it has in the kitchen.

CREATE TABLE menu_categories (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  restaurant_id uuid NOT NULL REFERENCES restaurants,
  name text NOT NULL CHECK (name <> ''),
  sort_order smallint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT menu_categories_restaurant_id_name_key UNIQUE (restaurant_id, name),
  CONSTRAINT menu_categories_id_restaurant_id_key UNIQUE (id, restaurant_id)
);

CREATE TABLE menu_items (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  restaurant_id uuid NOT NULL REFERENCES restaurants,
  category_id bigint NOT NULL,
  name text NOT NULL CHECK (name <> ''),
  description text NOT NULL DEFAULT '',
  price_cents money_cents NOT NULL,
  allergens text[] NOT NULL DEFAULT '{}',
  available boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT menu_items_restaurant_id_name_key UNIQUE (restaurant_id, name),
  CONSTRAINT menu_items_category_fkey
    FOREIGN KEY (category_id, restaurant_id) REFERENCES menu_categories (id, restaurant_id)
);
COMMENT ON COLUMN menu_items.available IS 'false: off the menu. Rows stay, because past orders name them';
CREATE INDEX menu_items_category_id_idx ON menu_items (category_id);

CREATE TABLE inventory_items (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  restaurant_id uuid NOT NULL REFERENCES restaurants,
  name text NOT NULL CHECK (name <> ''),
  unit "InventoryUnit" NOT NULL,
  quantity numeric(12, 3) NOT NULL DEFAULT 0 CHECK (quantity >= 0),
  reorder_at numeric(12, 3) NOT NULL DEFAULT 0 CHECK (reorder_at >= 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT inventory_items_restaurant_id_name_key UNIQUE (restaurant_id, name)
);
