package main

const rssUnit = 1 // a Mac counts resident memory in bytes
