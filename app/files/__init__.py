"""WHERE FILES LIE: drafts, sealed frames, shelves (a folder, an object store), what a file is."""
