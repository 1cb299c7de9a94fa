"""The API: every path of Conversations v1, each written once for both trees."""
