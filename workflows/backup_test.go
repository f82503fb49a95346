package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"lightfast/activities"
	"lightfast/workflows"
)

// library stands for the activities of one host: a plan in memory, and what a
// workflow did with it.
type library struct {
	mu      sync.Mutex // guards all below
	todo    map[string][]activities.Ref
	done    []int64
	steps   []string
	handOff map[int64]bool // small items that fail
	later   map[int64]int  // how often an item of lane cloud does not come
	readers int
	shares  int64
	away    map[int64]int // how often the store is away for an item
	lost    int           // how often the plan is lost
	stopped bool
	storing func(done int) // called by every store
	ended   chan struct{}
}

func newLibrary(small, large int) *library {
	l := &library{todo: map[string][]activities.Ref{}, handOff: map[int64]bool{}, away: map[int64]int{}, ended: make(chan struct{})}
	for i := range int64(small + large) {
		lane := activities.Small
		if i >= int64(small) {
			lane = activities.Large
		}
		l.todo[lane] = append(l.todo[lane], activities.Ref{Item: i, Name: fmt.Sprintf("IMG_%d.HEIC", i), Size: 1})
	}
	return l
}

func (l *library) step(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.steps = append(l.steps, name)
}

func (l *library) prepare(context.Context, activities.BackupInput) (activities.Prepared, error) {
	l.step("prepare")
	return activities.Prepared{Epoch: 7, Readers: l.readers, Shares: l.shares}, nil
}

func (l *library) next(_ context.Context, in activities.NextInput) (todo activities.Next, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost > 0 {
		l.lost--
		return todo, temporal.NewNonRetryableApplicationError("gone", activities.ErrPlanLost, nil)
	}
	busy := map[int64]bool{}
	for _, b := range in.Busy {
		busy[b] = true
	}
	for _, ref := range l.todo[in.Lane] {
		if !busy[ref.Item] && len(todo.Refs) < in.N && ref.Item%max(in.Share.Of, 1) == in.Share.N {
			todo.Refs = append(todo.Refs, ref)
		}
	}
	todo.Ring = 16
	return todo, nil
}

func (l *library) store(_ context.Context, in activities.ItemInput) (activities.Outcome, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped && in.Lane == activities.Small {
		return activities.Stopped, nil
	}
	if l.storing != nil {
		l.storing(len(l.done))
	}
	if l.away[in.Item] > 0 {
		l.away[in.Item]--
		return activities.StoreAway, nil
	}
	lane := l.todo[in.Lane]
	for i, ref := range lane {
		if ref.Item == in.Item {
			if l.later[in.Item] > 0 && in.Lane == activities.Cloud {
				l.later[in.Item]--
				return activities.Later, nil
			}
			l.todo[in.Lane] = append(lane[:i:i], lane[i+1:]...)
			if l.later[in.Item] > 0 { // what is local of it is stored
				l.todo[activities.Cloud] = append(l.todo[activities.Cloud], ref)
				return activities.HandedOver, nil
			}
			if l.handOff[in.Item] && in.Lane == activities.Small {
				l.todo[activities.Large] = append(l.todo[activities.Large], ref)
				return activities.HandedOver, nil
			}
			l.done = append(l.done, in.Item)
		}
	}
	return activities.OutcomeDone, nil
}

// run executes BackupLibrary against l with the clock skipped.
func run(t *testing.T, l *library) (*testsuite.TestWorkflowEnvironment, activities.BackupResult, error) {
	t.Helper()
	return runWith(t, l, func(*testsuite.TestWorkflowEnvironment) {})
}

func runWith(t *testing.T, l *library, prepare func(*testsuite.TestWorkflowEnvironment)) (*testsuite.TestWorkflowEnvironment, activities.BackupResult, error) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.NewTextHandler(t.Output(), nil))))
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.RegisterWorkflow(workflows.BackupLibrary)
	env.RegisterWorkflow(workflows.LaneSmall)
	env.RegisterWorkflow(workflows.LaneLarge)
	env.RegisterWorkflow(workflows.LaneCloud)
	for name, f := range map[string]any{
		"PrepareRun":  l.prepare,
		"NextAssets":  l.next,
		"StoreAsset":  l.store,
		"Commit":      func(context.Context, activities.Epoch) error { l.step("commit"); return nil },
		"AwaitStore":  func(context.Context, activities.Epoch) error { l.step("await"); return nil },
		"BuildPages":  func(context.Context, activities.Epoch) error { l.step("pages"); return nil },
		"InterimHead": func(context.Context, activities.InterimInput) error { l.step("interim"); return nil },
		"StopRun": func(context.Context, activities.Epoch) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.stopped = true
			return nil
		},
		"CommitHead": func(context.Context, activities.Epoch) (activities.BackupResult, error) {
			l.step("head")
			return activities.BackupResult{Snapshot: "s"}, nil
		},
		"Pulse":  func(ctx context.Context) (activities.Report, error) { return beat(ctx, l.ended) },
		"EndRun": func(context.Context, activities.Epoch) error { l.step("end"); close(l.ended); return nil },
	} {
		env.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
	prepare(env)
	env.ExecuteWorkflow(workflows.BackupLibrary, activities.BackupInput{})
	if !env.IsWorkflowCompleted() {
		t.Fatal("the workflow did not end")
	}
	if err := env.GetWorkflowError(); err != nil {
		return env, activities.BackupResult{}, err
	}
	var res activities.BackupResult
	if err := env.GetWorkflowResult(&res); err != nil {
		t.Fatal(err)
	}
	return env, res, nil
}

// beat is a Pulse: the test environment holds it to its heartbeat timeout, by
// the clock on the wall.
func beat(ctx context.Context, ended <-chan struct{}) (activities.Report, error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return activities.Report{}, nil
		case <-ctx.Done():
			return activities.Report{}, ctx.Err()
		case <-tick.C:
			activity.RecordHeartbeat(ctx)
		}
	}
}

func (l *library) checkAllDone(t *testing.T, n int) {
	t.Helper()
	seen := map[int64]int{}
	for _, item := range l.done {
		seen[item]++
	}
	for item, times := range seen {
		if times != 1 {
			t.Errorf("item %d was stored %d times, want once", item, times)
		}
	}
	if len(seen) != n {
		t.Errorf("%d items stored, want %d", len(seen), n)
	}
}

func TestHeadComesLastAndEndAlways(t *testing.T) {
	l := newLibrary(3, 2)
	_, res, err := run(t, l)
	if err != nil {
		t.Fatal(err)
	}
	l.checkAllDone(t, 5)
	want := []string{"prepare", "commit", "pages", "head", "end"}
	if diff := cmp.Diff(want, l.steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if res.Snapshot != "s" {
		t.Errorf("snapshot = %q, want s", res.Snapshot)
	}
}

func TestNothingToDoIsASnapshotToo(t *testing.T) {
	l := newLibrary(0, 0)
	if _, _, err := run(t, l); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"prepare", "pages", "head", "end"}, l.steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

func TestLaneSmallContinuesAsNew(t *testing.T) {
	l := newLibrary(4500, 7)
	if _, _, err := run(t, l); err != nil {
		t.Fatal(err)
	}
	l.checkAllDone(t, 4507)
}

func TestSharesOfLaneSmallAreAllOfIt(t *testing.T) {
	l := newLibrary(9000, 7) // more than one run of each share
	l.shares = 4
	l.handOff[3], l.away[40] = true, 1
	var mu sync.Mutex
	lanes := map[string]bool{}
	_, _, err := runWith(t, l, func(env *testsuite.TestWorkflowEnvironment) {
		env.SetOnChildWorkflowStartedListener(func(info *workflow.Info, _ workflow.Context, _ converter.EncodedValues) {
			mu.Lock()
			defer mu.Unlock()
			if info.WorkflowType.Name == "LaneSmall" {
				lanes[info.WorkflowExecution.ID] = true
			}
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	l.checkAllDone(t, 9007)
	if len(lanes) != 4 {
		t.Errorf("lanes small are %v, want 4 of them", lanes)
	}
}

func TestHandedOverAssetsAreStoredByLaneLarge(t *testing.T) {
	l := newLibrary(450, 1)
	l.handOff[3], l.handOff[449] = true, true // the last one when lane large has ended
	if _, _, err := run(t, l); err != nil {
		t.Fatal(err)
	}
	l.checkAllDone(t, 451)
}

func TestWhatOnlyICloudHasIsWorkedOffByItsOwnLane(t *testing.T) {
	l := newLibrary(450, 3)
	l.readers = 1
	l.later = map[int64]int{0: 1, 449: 2, 452: 1} // handed over, and not there at the first try
	for i := range int64(4200) {                  // more than one run of the lane
		l.todo[activities.Cloud] = append(l.todo[activities.Cloud], activities.Ref{Item: 1000 + i, Name: "IMG.HEIC"})
	}
	if _, _, err := run(t, l); err != nil {
		t.Fatal(err)
	}
	l.checkAllDone(t, 453+4200)
}

func TestNoLaneCloudWithoutReaders(t *testing.T) {
	l := newLibrary(5, 1)
	_, _, err := runWith(t, l, func(env *testsuite.TestWorkflowEnvironment) {
		env.SetOnChildWorkflowStartedListener(func(info *workflow.Info, _ workflow.Context, _ converter.EncodedValues) {
			if info.WorkflowType.Name == "LaneCloud" {
				t.Error("a plan without anything in iCloud has a lane cloud")
			}
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestACancelEndsLaneCloudToo(t *testing.T) {
	l := newLibrary(10, 0)
	l.readers = 1
	for i := range int64(4200) {
		l.todo[activities.Cloud] = append(l.todo[activities.Cloud], activities.Ref{Item: 1000 + i, Name: "IMG.HEIC"})
	}
	_, _, err := runWith(t, l, func(env *testsuite.TestWorkflowEnvironment) {
		l.storing = func(done int) {
			if done == 200 {
				env.CancelWorkflow()
			}
		}
	})
	if !temporal.IsCanceledError(err) || len(l.done) > 1000 || slices.Contains(l.steps, "head") {
		t.Errorf("error = %v after %d items, steps %v, want canceled", err, len(l.done), l.steps)
	}
}

func TestStoreThatGoesAwayIsWaitedFor(t *testing.T) {
	l := newLibrary(100, 0)
	l.away[40] = 2
	if _, _, err := run(t, l); err != nil {
		t.Fatal(err)
	}
	l.checkAllDone(t, 100)
	waits := 0
	for _, s := range l.steps {
		if s == "await" {
			waits++
		}
	}
	if waits != 2 {
		t.Errorf("waited %d times for the store, want 2", waits)
	}
}

func TestLostPlanIsMadeAnewThreeTimesAtMost(t *testing.T) {
	l := newLibrary(5, 0)
	l.lost = 2 // one for each lane of the first try
	if _, _, err := run(t, l); err != nil {
		t.Fatal(err)
	}
	l.checkAllDone(t, 5)

	l = newLibrary(5, 0)
	l.lost = 1000
	_, _, err := run(t, l)
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	if !ok || app.Type() != activities.ErrPlanLost {
		t.Fatalf("error = %v, want %s", err, activities.ErrPlanLost)
	}
	prepared := 0
	for _, s := range l.steps {
		if s == "prepare" {
			prepared++
		}
	}
	if prepared != 3 {
		t.Errorf("prepared %d times, want 3", prepared)
	}
}

func TestCancelKeepsWhatIsDoneAndWritesNoHead(t *testing.T) {
	for _, shares := range []int64{1, activities.MostShares} {
		t.Run(fmt.Sprint(shares, " shares"), func(t *testing.T) { cancelHalfWay(t, shares) })
	}
}

func cancelHalfWay(t *testing.T, shares int64) {
	t.Helper()
	l := newLibrary(4500, 5)
	l.shares = shares
	_, _, err := runWith(t, l, func(env *testsuite.TestWorkflowEnvironment) {
		l.storing = func(done int) {
			if done == 300 {
				env.CancelWorkflow()
			}
		}
	})
	if !temporal.IsCanceledError(err) {
		t.Fatalf("error = %v, want canceled", err)
	}
	if len(l.done) < 300 || len(l.done) > 4000 {
		t.Errorf("%d items stored, want a part of them", len(l.done))
	}
	for _, want := range []string{"commit", "interim", "end"} {
		if !slices.Contains(l.steps, want) {
			t.Errorf("no step %s in %v", want, l.steps)
		}
	}
	if slices.Contains(l.steps, "head") {
		t.Error("a canceled run wrote a head")
	}
}
