package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"lightfast/activities"
	"lightfast/photos"
)

// roleTable says of each role what a snapshot has and what it has not.
func roleTable(totals map[string]activities.RoleTotals) []string {
	const row = "%-11s %9s %9s  %s"
	lines := []string{fmt.Sprintf(row, "", "stored", "kept", "absent")}
	for _, role := range slices.SortedFunc(maps.Keys(totals), byRole) {
		t := totals[role]
		lines = append(lines, fmt.Sprintf(row, printable(role), humanize.Comma(t.Stored), humanize.Comma(t.Kept), absences(t.Absent)))
	}
	return lines
}

// byRole sorts as a person looks for them; what nobody has heard of comes last.
func byRole(a, b string) int {
	place := func(r string) int {
		if i := slices.Index(roles, photos.Role(r)); i >= 0 {
			return i
		}
		return len(roles)
	}
	if d := place(a) - place(b); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}

// absences reads "3 icloud only, 1 lost".
func absences(byReason map[string]int64) string {
	var parts []string
	for _, r := range slices.Sorted(maps.Keys(byReason)) {
		parts = append(parts, humanize.Comma(byReason[r])+" "+printable(strings.ReplaceAll(r, "_", " ")))
	}
	if parts == nil {
		return "0"
	}
	return strings.Join(parts, ", ")
}

// excluded reads "3 trashed, 0 hidden".
func excluded(byLabel map[string]int64) string {
	var parts []string
	for _, l := range photos.Labels() {
		if n, ok := byLabel[string(l)]; ok {
			parts = append(parts, humanize.Comma(n)+" "+strings.ReplaceAll(string(l), "_", " "))
		}
	}
	return strings.Join(parts, ", ")
}

// labelHelp explains the labels of assets, a line each.
func labelHelp() string {
	var b strings.Builder
	for _, l := range photos.Labels() {
		fmt.Fprintf(&b, "  %-17s %s\n", l, labelMeans[l])
	}
	return b.String()
}

var labelMeans = map[photos.Label]string{
	photos.LabelOrphan:          "files of the library that no asset explains",
	photos.LabelTrashed:         `in "Recently Deleted"`,
	photos.LabelHidden:          `in the album "Hidden"`,
	photos.LabelShared:          "of a shared album",
	photos.LabelSyndicated:      "shared in a conversation, and not saved",
	photos.LabelBurst:           "frames of a burst that nobody chose",
	photos.LabelScreenshot:      "pictures of a screen",
	photos.LabelScreenRecording: "films of a screen",
}
