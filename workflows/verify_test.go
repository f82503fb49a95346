package workflows_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"lightfast/activities"
	"lightfast/workflows"
)

func TestVerifyBeginsAnewWhenItsCatalogIsLost(t *testing.T) {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.NewTextHandler(t.Output(), nil))))
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	var steps []string
	lost := 1
	step := func(name string, err error) error {
		steps = append(steps, name)
		return err
	}
	ended := make(chan struct{})
	for name, f := range map[string]any{
		"PrepareVerify": func(context.Context, activities.VerifyInput) (activities.Prepared, error) {
			return activities.Prepared{Epoch: 7}, step("prepare", nil)
		},
		"VerifyPages": func(context.Context, activities.Epoch) error { return step("pages", nil) },
		"VerifyListing": func(context.Context, activities.Epoch) error {
			if lost--; lost == 0 {
				return step("lost", temporal.NewNonRetryableApplicationError("gone", activities.ErrPlanLost, nil))
			}
			return step("listing", nil)
		},
		"VerifyChecksums": func(context.Context, activities.Epoch) error { return step("checksums", nil) },
		"FinishVerify": func(context.Context, activities.Epoch) (activities.VerifyResult, error) {
			return activities.VerifyResult{Blobs: 3}, step("finish", nil)
		},
		"Pulse":  func(ctx context.Context) (activities.Report, error) { return beat(ctx, ended) },
		"EndRun": func(context.Context, activities.Epoch) error { close(ended); return nil },
	} {
		env.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
	env.ExecuteWorkflow(workflows.VerifyRepository, activities.VerifyInput{Checksums: true})
	var res activities.VerifyResult
	if err := env.GetWorkflowResult(&res); err != nil || res.Blobs != 3 {
		t.Errorf("result = %+v, %v", res, err)
	}
	want := []string{"prepare", "pages", "lost", "prepare", "pages", "listing", "checksums", "finish"}
	if diff := cmp.Diff(want, steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}
