"""One module a thing that the supervisor keeps running; each ends in ENGINE."""
