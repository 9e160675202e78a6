-- What the measurements need beside the shop's own schema: ids by number, so that the load generator and pgbench speak of the same
-- rows without asking for them, new ids for pgbench, and words to make names and searches of.
CREATE SCHEMA bench;

CREATE FUNCTION bench.user_id(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT ('00000001-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid
$$;

CREATE FUNCTION bench.product_id(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT ('00000002-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid
$$;

-- Of the past: orders, events and whatever else there is one of for each order.
CREATE FUNCTION bench.past_id(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT ('00000003-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid
$$;

-- A UUIDv7 of this time, in milliseconds, with these bits: in the order of time, as those that the shop makes.
CREATE FUNCTION bench.fresh(ms bigint, bits bigint) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (lpad(to_hex(ms), 12, '0') || '7000a' || lpad(to_hex(bits), 15, '0'))::uuid
$$;

CREATE FUNCTION bench.word(kind integer, n bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT words[1 + n % array_length(words, 1)] FROM (SELECT CASE kind
    WHEN 1 THEN string_to_array('amber azure black blue bright broad brown calm classic clear compact copper coral crimson curved dark deep '
      'early elegant faded fine flat folding forest frosted gentle golden grand green handy heavy ivory large light long lunar '
      'matte narrow navy olive', ' ')
    WHEN 2 THEN string_to_array('aluminium bamboo beech birch brass canvas ceramic cork cotton denim enamel felt glass hemp leather linen maple '
      'marble oak paper porcelain rattan slate steel wool', ' ')
    ELSE string_to_array('apron backpack basket bench blanket bottle bowl brush cabinet candle carafe chair clock coaster cushion desk easel '
      'frame grinder hammock jar kettle ladder lamp mirror mug notebook pillow planter plate pot rug shelf stool table teapot '
      'towel tray vase wallet', ' ')
  END AS words) AS list
$$;

CREATE FUNCTION bench.product_name(n bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT initcap(bench.word(1, n)) || ' ' || bench.word(2, n / 40) || ' ' || bench.word(3, n / 1000 + n)
$$;

-- What somebody searches for who means this product, or one like it.
CREATE FUNCTION bench.search(n bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT bench.word(1, n) || ' ' || bench.word(3, n / 1000 + n)
$$;
