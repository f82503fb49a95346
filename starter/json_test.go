package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"lightfast/photos/photostest"
)

// shape lists the paths in an event with the types of their values: what a
// program that reads --json relies on.
func shape(prefix string, v any, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			into[prefix+" {}"] = true
		}
		for k, x := range v {
			shape(prefix+"."+k, x, into)
		}
	case []any:
		if len(v) == 0 {
			into[prefix+" []"] = true
		}
		for _, x := range v {
			shape(prefix+"[]", x, into)
		}
	case nil:
		into[prefix+" null"] = true
	default:
		into[fmt.Sprintf("%s %T", prefix, v)] = true
	}
}

// TestJSONNames pins every name that --json prints.
func TestJSONNames(t *testing.T) {
	t.Parallel()
	p := photosPlace(t, 40)
	ids := libraryIDs(t, p.source)
	if err := photostest.Evict(p.source, ids[0]); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	add := func(command string, ev events) {
		for _, name := range slices.Sorted(maps.Keys(ev)) {
			if name == "warning" {
				continue
			}
			paths := map[string]bool{}
			for _, e := range ev[name] {
				shape("", e, paths)
			}
			fmt.Fprintf(&out, "%s: %s\n", command, name)
			for _, path := range slices.Sorted(maps.Keys(paths)) {
				if !strings.HasPrefix(path, ".in_flight") && !strings.HasPrefix(path, ".progress.in_flight") {
					fmt.Fprintln(&out, "  "+path)
				}
			}
		}
	}
	for _, args := range [][]string{
		{"backup", "--source", p.source, "--to", p.dest},
		{"ls", "--from", p.dest},
		{"snapshots", "--from", p.dest},
		{"restore", "--from", p.dest, "--to", p.out},
		{"status"},
		{"backup", "--source", p.source + "nowhere", "--to", p.dest},
	} {
		ev, _ := p.run(args...)
		if args[0] == "backup" && len(ev["progress"]) > 0 {
			phases(t, ev["progress"])
		}
		add(args[0], ev)
	}
	golden(t, "json.golden", out.Bytes())
}

// phases checks that a run goes through them in order.
func phases(t *testing.T, progress []map[string]any) {
	t.Helper()
	order := []string{"starting", "scanning", "storing", "finishing"}
	at := 0
	for _, e := range progress {
		i := slices.Index(order, e["phase"].(string))
		if i < at {
			t.Errorf("phase %v after %s", e["phase"], order[at])
		}
		at = max(at, i)
	}
}
