"""Running flows: messages, requests and waits that are over go in by lanes; what flows ask for is
done (say, call, enter, add), and where they stand is kept."""
