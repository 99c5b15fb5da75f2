"""What people read: pages, figures, JSON against its schema, the two READMEs."""
