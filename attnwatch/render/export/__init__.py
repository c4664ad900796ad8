"""Attention as files for compositing programs: numbered images or a film with alpha, and a document about them."""
