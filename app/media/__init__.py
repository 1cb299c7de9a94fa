"""FILES OF MESSAGES: taken in, fetched from carriers, shown by signed URLs, collected."""
