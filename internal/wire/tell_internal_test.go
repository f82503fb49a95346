package wire

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"lightfast/activities"
	"lightfast/internal/exit"
)

func TestAPersonIsToldWhatBecameOfARun(t *testing.T) {
	denied := temporal.NewApplicationErrorWithOptions("denied", activities.ErrExit, temporal.ApplicationErrorOptions{NonRetryable: true,
		Details: []any{activities.ExitDetail{Code: exit.Destination, What: "destination s3://b", Why: "access denied", Do: "check the key"}}})
	var full, holes, signedOut activities.BackupResult
	full.Assets.Total = 1200
	holes.Assets.Total, holes.Assets.Incomplete = 1200, 3
	signedOut.Assets.Total = 10
	signedOut.Problems = []activities.Problem{{Problem: "iCloud: this Mac is not signed in to iCloud", Action: "sign in"}}
	for _, tt := range []struct {
		name string
		res  any
		err  error
		took time.Duration
		want string // "" for silence
	}{
		{"complete", full, nil, time.Hour, "The backup of 1,200 assets is complete."},
		{"complete at once", full, nil, time.Second, ""},
		{"holes", holes, nil, time.Second, "3 of 1,200 assets have holes"},
		{"iCloud needs a person", signedOut, nil, time.Second, "not signed in to iCloud; sign in"},
		{"restored", activities.RestoreResult{Assets: 7}, nil, time.Hour, "The restore of 7 assets is complete."},
		{"not all restored", activities.RestoreResult{Count: 2}, nil, time.Second, "2 problems"},
		{"sound", activities.VerifyResult{}, nil, time.Hour, "The repository is sound."},
		{"damage", activities.VerifyResult{Count: 4}, nil, time.Second, "Damage was found: 4 objects"},
		{"denied", nil, denied, time.Second, "It failed: destination s3://b: access denied; check the key"},
		{"canceled by the user", nil, temporal.NewCanceledError(), time.Hour, ""},
	} {
		if got := ending(tt.res, tt.err, tt.took); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestEachEndIsToldOnceAndLanesAreNot(t *testing.T) {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	var told []string
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{
		&teller{notify: func(title, text string) { told = append(told, title+" | "+text) }},
	}})
	lane := func(workflow.Context) error { return errors.New("a lane") }
	step := func(context.Context) (int64, error) { return 5, nil }
	run := func(ctx workflow.Context) (res activities.BackupResult, err error) {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
		if err = workflow.ExecuteActivity(ctx, "step").Get(ctx, &res.Assets.Total); err != nil {
			return res, err
		}
		_ = workflow.ExecuteChildWorkflow(ctx, "lane").Get(ctx, nil)
		return res, workflow.Sleep(ctx, time.Hour)
	}
	env.RegisterWorkflowWithOptions(run, workflow.RegisterOptions{Name: "run"})
	env.RegisterWorkflowWithOptions(lane, workflow.RegisterOptions{Name: "lane"})
	env.RegisterActivityWithOptions(step, activity.RegisterOptions{Name: "step"})
	if err := env.SetMemoOnStart(map[string]any{"library": "Family"}); err != nil {
		t.Fatal(err)
	}
	env.ExecuteWorkflow("run")
	if err := env.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
	if want := "Lightfast: Family | The backup of 5 assets is complete."; len(told) != 1 || told[0] != want {
		t.Errorf("told %q, want %q", told, want)
	}
}
