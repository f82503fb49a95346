package activities

// rssUnit: macOS reports ru_maxrss in bytes (getrusage(2)).
const rssUnit = 1
