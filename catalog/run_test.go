package catalog_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lightfast/catalog"
)

func TestNextIsBestFirstOfItsLaneAndLeavesOutTheBusy(t *testing.T) {
	l := newLibrary(t)
	e := l.run(t,
		asset("old", &catalog.Item{Lane: "small", Rank: 1}),
		asset("film", &catalog.Item{Lane: "large", Rank: 9}),
		asset("favourite", &catalog.Item{Lane: "small", Rank: 1 << 60}),
		asset("new", &catalog.Item{Lane: "small", Rank: 2}),
		asset("unchanged", nil))
	names, items := l.next(t, e, "small", 10)
	if diff := cmp.Diff([]string{"favourite", "new", "old"}, names); diff != "" {
		t.Fatal(diff)
	}
	if names, _ := l.next(t, e, "small", 1, items[0]); !cmp.Equal(names, []string{"new"}) {
		t.Errorf("with the first busy: %q, want new", names)
	}
	check(t, l.StoreAsset(t.Context(), e, l.repo, items[0], []byte("{}"), []byte("row"), catalog.Figures{}, nil, catalog.Outcome{State: catalog.Done}))
	check(t, l.StoreAsset(t.Context(), e, l.repo, items[1], []byte("{}"), []byte("row"), catalog.Figures{}, nil, catalog.Outcome{State: catalog.Failed}))
	if names, _ := l.next(t, e, "small", 10); !cmp.Equal(names, []string{"old"}) {
		t.Errorf("after two of three: %q, want old", names)
	}
}

func TestSharesOfALaneAreAllOfItAndApart(t *testing.T) {
	l := newLibrary(t)
	var assets []scanned
	for i := range int64(50) {
		assets = append(assets, asset(fmt.Sprint(i), &catalog.Item{Lane: "small", Rank: i}))
	}
	e := l.run(t, assets...)
	seen := map[int64]bool{}
	for n := range int64(4) {
		items := must(l.Next(t.Context(), e, "small", catalog.Share{N: n, Of: 4}, 100, nil))
		if len(items) < 12 || len(items) > 13 {
			t.Errorf("share %d of 4 has %d of 50 items", n, len(items))
		}
		for i, it := range items {
			if seen[it.Item] {
				t.Errorf("item %d is in two shares", it.Item)
			}
			seen[it.Item] = true
			if i > 0 && items[i-1].Rank < it.Rank {
				t.Errorf("share %d is not best first: %+v", n, items)
			}
		}
	}
	if len(seen) != 50 {
		t.Errorf("all shares together have %d of 50 items", len(seen))
	}
}

func TestHandOverMovesWhatIsToDo(t *testing.T) {
	l := newLibrary(t)
	e := l.run(t, asset("a", &catalog.Item{Lane: "small", Size: 5}), asset("b", &catalog.Item{Lane: "small", Size: 7}), asset("c", &catalog.Item{Lane: "small"}))
	_, items := l.next(t, e, "small", 3)
	check(t, l.StoreAsset(t.Context(), e, l.repo, items[2], []byte("{}"), []byte("row"), catalog.Figures{}, nil, catalog.Outcome{State: catalog.Done}))
	for _, item := range items {
		check(t, l.HandOver(t.Context(), e, item, "large"))
	}
	if names, _ := l.next(t, e, "large", 9); !cmp.Equal(names, []string{"b", "a"}) {
		t.Errorf("lane large has %q, want b, a", names)
	}
	if names, _ := l.next(t, e, "small", 9); names != nil {
		t.Errorf("lane small still has %q", names)
	}
}

func TestANewRunForgetsThePlanBefore(t *testing.T) {
	l := newLibrary(t)
	first := l.run(t, asset("a", &catalog.Item{Lane: "small"}))
	_, items := l.next(t, first, "small", 1)
	check(t, l.SetPages(t.Context(), first, [][]byte{[]byte("p")}))
	second := l.run(t, asset("a", &catalog.Item{Lane: "small"}))
	if second <= first {
		t.Errorf("epoch %d follows %d", second, first)
	}
	if _, err := l.Run(t.Context(), first); !errors.Is(err, catalog.ErrNoPlan) {
		t.Errorf("Run of the run before = %v, want ErrNoPlan", err)
	}
	if f := must(l.PlanFigures(t.Context(), first)); f != (catalog.PlanFigures{}) {
		t.Errorf("the plan before still has %+v", f)
	}
	if pages := must(l.Pages(t.Context(), first)); pages != nil {
		t.Errorf("the run before still has pages %q", pages)
	}
	// Somebody who still works on it must not write what it is based on.
	err := l.StoreAsset(t.Context(), first, l.repo, items[0], []byte("{}"), []byte("stale"), catalog.Figures{}, nil, catalog.Outcome{State: catalog.Done})
	if !errors.Is(err, catalog.ErrNoPlan) {
		t.Errorf("StoreAsset for the run before = %v, want ErrNoPlan", err)
	}
	if _, row, err := l.Docs(t.Context(), items[0]); err != nil || string(row) != "row a" {
		t.Errorf("row = %q, %v", row, err)
	}
}

func TestTheFirstToFinishAnAssetWins(t *testing.T) {
	l := newLibrary(t)
	e := l.run(t, asset("a", &catalog.Item{Lane: "small"}))
	_, items := l.next(t, e, "small", 1)
	check(t, l.StoreAsset(t.Context(), e, l.repo, items[0], []byte("{}"), []byte("first"), catalog.Figures{}, nil, catalog.Outcome{State: catalog.Done, Sent: 1, Fresh: 1}))
	check(t, l.StoreAsset(t.Context(), e, l.repo, items[0], []byte("{}"), []byte("second"), catalog.Figures{}, []catalog.Blob{blob(1)}, catalog.Outcome{State: catalog.Failed, Sent: 1, Fresh: 1}))
	if _, row, err := l.Docs(t.Context(), items[0]); err != nil || string(row) != "first" {
		t.Errorf("row = %q, %v, want first", row, err)
	}
	want := catalog.PlanFigures{Items: 1, Done: 1, Sent: 1, Fresh: 1}
	if got := must(l.PlanFigures(t.Context(), e)); got != want {
		t.Errorf("figures %+v, want %+v", got, want)
	}
	if _, ok, _ := l.Blob(t.Context(), l.repo, blob(1).Hash); !ok {
		t.Error("what the second one stored is not known")
	}
}

func TestRowsAreThoseOfTheScanInOrderOfPages(t *testing.T) {
	l := newLibrary(t)
	at := func(name string, added int64) scanned {
		a := asset(name, nil)
		a.Added = added
		return a
	}
	l.run(t, at("gone", 1), at("b", 2))
	unchanged := scanned{name: "b"}
	e := l.run(t, at("z", 1), at("a", 2), unchanged, at("none", 0))
	var got []string
	for r, err := range l.Rows(t.Context(), e, l.id) {
		check(t, err)
		got = append(got, r.Name+"="+string(r.Line))
	}
	if diff := cmp.Diff([]string{"none=row none", "z=row z", "a=row a", "b=row b"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestTotalsAddUp(t *testing.T) {
	l := newLibrary(t)
	rapid.Check(t, func(rt *rapid.T) {
		var assets []scanned
		want := catalog.Totals{Absent: map[string]int64{}, Roles: map[string]catalog.Tally{}}
		for i := range rapid.IntRange(0, 30).Draw(rt, "assets") {
			a := asset(fmt.Sprint("asset ", i), nil)
			a.Orphan = rapid.Bool().Draw(rt, "orphan")
			a.State = catalog.ItemState(rapid.IntRange(int(catalog.Done), int(catalog.Failed)).Draw(rt, "state"))
			incomplete := false
			for range rapid.IntRange(0, 4).Draw(rt, "resources") {
				role := rapid.SampledFrom([]string{"original", "live", "edited_live"}).Draw(rt, "role")
				fate := rapid.SampledFrom([]string{"stored", "kept", "hole", "harmless"}).Draw(rt, "fate")
				incomplete = incomplete || fate == "hole"
				if fate == "stored" || fate == "kept" {
					a.Figures.Stored(role, 10, fate == "kept")
				} else {
					a.Figures.Absent(role, fate)
				}
				addResource(&want, role, fate)
			}
			if rapid.Bool().Draw(rt, "planned") {
				a.Plan = &catalog.Item{Lane: "small"}
			}
			assets = append(assets, a)
			switch {
			case a.Orphan:
				want.Orphans++
				continue
			case a.State == catalog.Failed:
				want.Failed++
			case incomplete:
				want.Incomplete++
			case a.Plan != nil:
				want.Stored++
			default:
				want.Unchanged++
			}
			want.Assets++
		}
		e := l.run(t, assets...)
		got, err := l.Totals(t.Context(), e, l.id, func(reason string) bool { return reason == "hole" })
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Error(diff)
		}
		if got.Assets != got.Stored+got.Unchanged+got.Incomplete+got.Failed {
			rt.Errorf("%d assets are not the sum of %+v", got.Assets, got)
		}
	})
}

func addResource(t *catalog.Totals, role, fate string) {
	of := t.Roles[role]
	if of.Absent == nil {
		of.Absent = map[string]int64{}
	}
	t.Resources++
	if fate == "stored" || fate == "kept" {
		of.Stored++
		t.StoredResources++
		t.Bytes += 10
	} else {
		of.Absent[fate]++
		t.Absent[fate]++
	}
	if fate == "kept" {
		of.Kept++
		t.Kept++
	}
	t.Roles[role] = of
}

// What a stranger wrote into a page counts as one resource of one role.
func TestOddWordsCountOnce(t *testing.T) {
	l := newLibrary(t)
	a := asset("a", nil)
	a.Figures.Stored("a,b", 1, false)
	a.Figures.Stored("c-d+", 1, true)
	a.Figures.Absent("e", "f-g,h")
	e := l.run(t, a)
	got := must(l.Totals(t.Context(), e, l.id, func(string) bool { return false }))
	want := map[string]catalog.Tally{
		"a_b":  {Stored: 1, Absent: map[string]int64{}},
		"c_d_": {Stored: 1, Kept: 1, Absent: map[string]int64{}},
		"e":    {Absent: map[string]int64{"f_g_h": 1}},
	}
	if diff := cmp.Diff(want, got.Roles); diff != "" || got.Resources != 3 {
		t.Errorf("%d resources\n%s", got.Resources, diff)
	}
}

func TestElsewhereNamesRepositoriesWithASnapshot(t *testing.T) {
	l := newLibrary(t)
	e := l.run(t)
	if got := must(l.Elsewhere(t.Context(), "lib")); got != nil {
		t.Errorf("before the first snapshot: %q", got)
	}
	check(t, l.FinishBackup(t.Context(), e, l.id, "20260101T000000Z-1", []byte("{}")))
	if got := must(l.Elsewhere(t.Context(), "lib")); !cmp.Equal(got, []string{"/there"}) {
		t.Errorf("Elsewhere = %q, want /there", got)
	}
	if got := must(l.Library(t.Context(), l.repo, "lib", "Moved")); got.ID != l.id || got.Snapshot != "20260101T000000Z-1" {
		t.Errorf("Library = %+v", got)
	}
}

func TestAPlaceRemembersWhoWasThereLast(t *testing.T) {
	l := newLibrary(t)
	other := must(l.Library(t.Context(), l.repo, "other", "Other")).ID
	if got := must(l.LibraryAt(t.Context(), l.repo, "here")); got.ID != 0 {
		t.Errorf("before the first backup: %+v", got)
	}
	for _, id := range []catalog.LibraryID{l.id, other, l.id, other} {
		check(t, l.SetPlace(t.Context(), l.repo, "here", id))
		check(t, l.SetPlace(t.Context(), l.repo, "elsewhere", l.id))
		if got := must(l.LibraryAt(t.Context(), l.repo, "here")); got.ID != id {
			t.Errorf("LibraryAt = %+v, want library %d", got, id)
		}
	}
	if got := must(l.LibraryAt(t.Context(), l.repo, "here")); got.Key != "other" || got.Name != "Other" {
		t.Errorf("LibraryAt = %+v, want other", got)
	}
	second := must(l.Repository(t.Context(), "s", "/second"))
	if got := must(l.LibraryAt(t.Context(), second, "here")); got.ID != 0 {
		t.Errorf("in another repository: %+v", got)
	}
}
