-- The images of products. Their bytes are in object storage, under keys of ours (docs/adr/0010): what was uploaded until it has been
-- processed, then the image as it is shown, and two thumbnails.
CREATE TABLE product_images (
  id                  uuid PRIMARY KEY,
  product_id          uuid NOT NULL REFERENCES products,
  position            integer NOT NULL,
  alt                 text NOT NULL DEFAULT '',
  status              text NOT NULL DEFAULT 'processing' CHECK (status IN ('processing', 'ready', 'failed', 'removed')),
  original_key        text,                             -- what was uploaded; nobody is shown it
  image_key           text,
  thumbnail_key       text,
  small_thumbnail_key text,
  width               integer,                          -- pixels of the image as it is shown
  height              integer,
  error               text,                             -- why it failed
  created_at          timestamptz NOT NULL DEFAULT now(),
  updated_at          timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT product_images_processing_has_original CHECK (status <> 'processing' OR original_key IS NOT NULL),
  CONSTRAINT product_images_ready_is_whole CHECK (
    status <> 'ready'
    OR image_key IS NOT NULL AND thumbnail_key IS NOT NULL AND small_thumbnail_key IS NOT NULL AND width > 0 AND height > 0)
);
CREATE INDEX product_images_of_product ON product_images (product_id, position);

-- What is shown of a product changes with its images, whichever program changes them (docs/adr/0008).
CREATE TRIGGER product_images_tell AFTER INSERT OR UPDATE OR DELETE ON product_images
  FOR EACH STATEMENT EXECUTE FUNCTION tell_of_products();
