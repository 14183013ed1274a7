"""More rows for a table: mixed columns in and out, one flow per class, and what models learn from the new rows.

Read in this order: `mixed_tables` (columns become coordinates and come back), `new_rows` (class by class),
`augmentation` (the public function), `usefulness` and `trial` (how good they are), `page` (the report).
"""
