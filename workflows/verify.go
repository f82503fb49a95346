package workflows

import (
	"go.temporal.io/sdk/workflow"

	"lightfast/activities"
)

// VerifyRepository compares what snapshots name with what the repository
// holds. Its steps follow one another; each may be repeated.
func VerifyRepository(ctx workflow.Context, in activities.VerifyInput) (res activities.VerifyResult, err error) {
	var a *activities.Activities
	end := startPulse(ctx)
	var p activities.Prepared
	defer func() { err = worst(err, end(p.Epoch)) }()
	steps := []any{a.VerifyPages, a.VerifyListing}
	if in.Checksums {
		steps = append(steps, a.VerifyChecksums)
	}
	for try := 1; ; try++ {
		if err = workflow.ExecuteActivity(step(ctx, long), a.PrepareVerify, in).Get(ctx, &p); err != nil {
			return res, err
		}
		for _, s := range steps {
			if err = workflow.ExecuteActivity(step(ctx, long), s, p.Epoch).Get(ctx, nil); err != nil {
				break
			}
		}
		if err == nil {
			err = workflow.ExecuteActivity(step(ctx, long), a.FinishVerify, p.Epoch).Get(ctx, &res)
		}
		if !planLost(err) || try == planTries {
			return res, err
		}
	}
}
