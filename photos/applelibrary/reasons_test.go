package applelibrary_test

import (
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"lightfast/photos"
)

// TestEveryDamageDoneOnPurposeIsReported goes through the records of what was
// done to the derived libraries, and what each has to lead to.
func TestEveryDamageDoneOnPurposeIsReported(t *testing.T) {
	for _, name := range []string{"Derived-icloud-15", "Derived-broken-13"} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(shared(t, "libraries", name+".CHANGES.json"))
			if err != nil {
				t.Fatal(err)
			}
			var record struct {
				Changes []struct {
					UUID     photos.AssetID
					Done     string
					Expected map[string]any
				}
			}
			if err := json.Unmarshal(text, &record); err != nil {
				t.Fatal(err)
			}
			l := open(t, library(t, name))
			found := scan(t, l)
			checked := 0
			for _, c := range record.Changes {
				if c.UUID == "" {
					continue // residue, and orphans: see the answers
				}
				a, ok := found[c.UUID]
				if !ok {
					t.Errorf("%s is not there, although only this was done: %s", c.UUID, c.Done)
					continue
				}
				for what, want := range c.Expected {
					if got := expectation(t, l, a, what, want); got != want {
						t.Errorf("%s, %s: %s is %v, want %v", c.UUID, c.Done, what, got, want)
					}
					checked++
				}
			}
			if checked < 20 {
				t.Errorf("%d expectations, want more", checked)
			}
		})
	}
}

// expectation is what became of one in the words of the record.
func expectation(t *testing.T, l photos.Source, a photos.Asset, what string, want any) any {
	t.Helper()
	m := a.Metadata
	switch what {
	case "hidden":
		return m.Hidden
	case "trashed":
		return m.Trashed
	case "shared":
		return m.Shared
	case "burst":
		return m.Burst != nil
	case "burst_key":
		return m.Burst.Key
	case "burst_selected":
		return m.Burst.Selected
	case "syndicated":
		return slices.Contains(m.Types, what)
	case "original_filename":
		if want == "falls back to ZFILENAME" && m.OriginalFilename == string(a.ID)+".jpeg" {
			return want
		}
		return m.OriginalFilename
	}
	role, ok := words[what]
	if !ok {
		role = photos.Role(what)
	}
	for _, r := range a.Resources {
		if r.Role == role {
			return state(t, l, r)
		}
	}
	return "not mentioned"
}

// state of a resource, when its bytes were read.
func state(t *testing.T, l photos.Source, r photos.Resource) string {
	t.Helper()
	if !r.Present() {
		return string(r.Reason)
	}
	if r.Warning != "" {
		return string(r.Warning)
	}
	rd, err := l.Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Close()
	f := photos.NewFingerprint()
	if _, err := io.Copy(f, rd); err != nil {
		t.Fatal(err)
	}
	if r.Fingerprint != "" && f.String() != r.Fingerprint {
		return string(photos.FingerprintMismatch)
	}
	return "present"
}

// TestSumsAddUp counts in the rows alone how many resources of each role a
// library has, and holds the scan against that: each is present, or absent
// for a reason.
func TestSumsAddUp(t *testing.T) {
	counts := map[photos.Role]string{
		photos.RoleOriginal: "SELECT count(*) FROM ASSET",
		photos.RoleRAW:      "SELECT count(DISTINCT r.ZASSET) FROM ZINTERNALRESOURCE r JOIN ASSET a ON a.Z_PK = r.ZASSET WHERE r.ZRESOURCETYPE = 4 AND r.ZRECIPEID = 0",
		photos.RoleLive: `SELECT count(*) FROM ASSET a WHERE a.ZKINDSUBTYPE = 2 OR a.Z_PK IN
			(SELECT ZASSET FROM ZINTERNALRESOURCE WHERE ZRESOURCETYPE = 3 AND ZRECIPEID = 0 AND ZDATASTORECLASSID = 0)`,
		photos.RoleEdited: "SELECT count(*) FROM ASSET a WHERE a.EDITED != 0 AND a.ZCLOUDBATCHPUBLISHDATE IS NULL",
		photos.RoleEditedLive: `SELECT count(*) FROM ASSET a WHERE a.EDITED != 0 AND a.Z_PK IN
			(SELECT ZASSET FROM ZINTERNALRESOURCE WHERE ZRECIPEID = 131272 AND ZDATASTORECLASSID = 0)`,
	}
	for _, name := range []string{
		"Test-15.4.1", "Test-Cloud-10.15.6", "Test-Screen-Recording-12.0.1", "ExternalAdjustments-14.4.1",
		"Test-Lock-10_15_1", "Derived-icloud-15", "Derived-broken-13",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copied(t, name)
			got := map[photos.Role]int{}
			for _, a := range scan(t, open(t, dir)) {
				for _, r := range a.Resources {
					if !a.Orphan {
						got[r.Role]++
					}
				}
			}
			db := database(t, dir)
			defer db.Close()
			has := func(column, table string) bool {
				var n int
				if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM pragma_table_info(?) WHERE name = ?", table, column).Scan(&n); err != nil {
					t.Fatal(err)
				}
				return n > 0
			}
			asset, edited := "ZGENERICASSET", "ZHASADJUSTMENTS"
			if has("Z_PK", "ZASSET") {
				asset = "ZASSET"
			}
			if has("ZADJUSTMENTSSTATE", asset) {
				edited = "ZADJUSTMENTSSTATE"
			}
			for role, query := range counts {
				var want int
				query = strings.NewReplacer("FROM ASSET", "FROM "+asset, "JOIN ASSET", "JOIN "+asset, "EDITED", edited).Replace(query)
				if err := db.QueryRowContext(t.Context(), query).Scan(&want); err != nil {
					t.Fatalf("%s: %v", query, err)
				}
				if got[role] != want {
					t.Errorf("the scan accounts for %d of role %s, the rows for %d", got[role], role, want)
				}
			}
		})
	}
}
