-- An image as the program reads it (common/src/images/view.rs), for every query that shows some.
CREATE FUNCTION image_json(image product_images) RETURNS json LANGUAGE sql STABLE AS $$
  SELECT json_build_object('id', image.id, 'alt', image.alt, 'status', image.status, 'image_key', image.image_key,
                           'thumbnail_key', image.thumbnail_key, 'width', image.width, 'height', image.height, 'error', image.error)
$$;
