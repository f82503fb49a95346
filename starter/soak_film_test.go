//go:build soak

package main

import (
	"testing"

	"lightfast/objectstore/storetest"
)

var servers = map[string]func(testing.TB) storetest.Server{"MinIO": storetest.MinIO, "versitygw": storetest.Versitygw}

// TestSoakFilmKills is the kill matrix of one large object: 20 kills, each
// costs at most the parts that were on their way.
func TestSoakFilmKills(t *testing.T) {
	for name, serve := range servers {
		t.Run(name, func(t *testing.T) {
			killFilm(t, serve(t), filmKills{size: 2 << 30, part: 16 * mib, kills: 20, seed: 20})
		})
	}
}

func TestSoakFilmKillsWithEveryHeartbeatLost(t *testing.T) {
	for name, serve := range servers {
		t.Run(name, func(t *testing.T) {
			killFilmUnheard(t, serve(t), filmKills{size: 2 << 30, part: 16 * mib, kills: 20, seed: 21})
		})
	}
}

// TestSoakFilmOfManyParts has more parts than one answer of a store lists.
func TestSoakFilmOfManyParts(t *testing.T) {
	for name, serve := range servers {
		t.Run(name, func(t *testing.T) {
			killFilm(t, serve(t), filmKills{size: 5200 * mib, part: 5 * mib, kills: 3, seed: 22, hollow: true})
		})
	}
}
