package main

import (
	"strings"
	"testing"

	"lightfast/photos/photokit/photokittest"
)

func TestAuthorizeSaysWhatMacOSAnswered(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		mock []string
		code int
		says string // the status, or what to do
	}{
		{"asked and permitted", []string{"MOCK_AUTH=0", "MOCK_AUTH_ANSWER=3"}, 0, "authorized"},
		{"permitted long ago", []string{"MOCK_AUTH=3"}, 0, "authorized"},
		{"asked and denied", []string{"MOCK_AUTH=0", "MOCK_AUTH_ANSWER=2"}, 4, "allow Lightfast full access in System Settings"},
		{"denied long ago", []string{"MOCK_AUTH=2"}, 4, "allow Lightfast full access in System Settings"},
		{"selected photos only", []string{"MOCK_AUTH=4"}, 4, "allow Lightfast full access in System Settings"},
		{"a profile forbids it", []string{"MOCK_AUTH=1"}, 4, "lift that restriction"},
		{"nobody was asked", []string{"MOCK_AUTH=0", "MOCK_AUTH_ANSWER=0"}, 4, "open Lightfast.app at the screen of this Mac"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			helper, env := photokittest.Helper(t, tt.mock...)
			p.env = append(env, "LIGHTFAST_PHOTOKIT_HELPER="+helper)
			ev, code := p.run("authorize")
			if code != tt.code {
				t.Errorf("it ended with %d, want %d", code, tt.code)
			}
			if tt.code == 0 {
				if got := ev.result(t)["status"]; got != tt.says {
					t.Errorf("status %v, want %s", got, tt.says)
				}
				return
			}
			if len(ev["error"]) != 1 || len(ev["result"]) != 0 {
				t.Fatalf("%v, want one error", ev)
			}
			e := ev["error"][0]
			if action, _ := e["action"].(string); e["class"] != "source" || !strings.Contains(action, tt.says) {
				t.Errorf("%v, want one of the source that says %q", e, tt.says)
			}
		})
	}
}

func TestFinderIsToldFromATerminalAndFromALaunchAgent(t *testing.T) {
	const app = "/Applications/Lightfast.app/Contents/MacOS/lightfast"
	for _, tt := range []struct {
		name, path string
		args       []string
		terminal   bool
		want       bool
	}{
		{"Finder", app, nil, false, true},
		{"a terminal", app, nil, true, false},
		{"a LaunchAgent", app, []string{"up", "--supervise"}, false, false},
		{"a script, without the app", "/usr/local/bin/lightfast", nil, false, false},
	} {
		if got := openedAsApp(tt.path, tt.args, tt.terminal); got != tt.want {
			t.Errorf("%s: openedAsApp = %v", tt.name, got)
		}
	}
}
