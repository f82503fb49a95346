package wire

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"lightfast/activities"
)

// goneElsewhere is how long a run takes until the person who began it is
// supposed to look at something else.
const goneElsewhere = time.Minute

// teller tells a person what became of each run that this process works off.
// It stands around workflows because all ends pass there, and decides nothing
// in them.
type teller struct {
	interceptor.WorkerInterceptorBase
	notify func(title, text string)
}

func (t *teller) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &toldEnd{WorkflowInboundInterceptorBase: interceptor.WorkflowInboundInterceptorBase{Next: next}, notify: t.notify}
}

type toldEnd struct {
	interceptor.WorkflowInboundInterceptorBase
	notify func(title, text string)
}

func (e *toldEnd) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	res, err := e.Next.ExecuteWorkflow(ctx, in)
	info := workflow.GetInfo(ctx)
	if info.ParentWorkflowExecution != nil || workflow.IsReplaying(ctx) {
		return res, err // a lane, or an end that was told
	}
	if text := ending(res, err, workflow.Now(ctx).Sub(info.WorkflowStartTime)); text != "" {
		e.notify(runTitle(info), text)
	}
	return res, err
}

// runTitle names the library, as `lightfast status` does.
func runTitle(info *workflow.Info) string {
	var library string
	if p, ok := info.Memo.GetFields()["library"]; ok && converter.GetDefaultDataConverter().FromPayload(p, &library) == nil {
		return "Lightfast: " + library
	}
	return "Lightfast"
}

// ending says what became of a run. It is "" where nobody has to be told: it
// was canceled, or was done before one could look away.
func ending(res any, err error, took time.Duration) string {
	switch {
	case temporal.IsCanceledError(err) || workflow.IsContinueAsNewError(err):
		return ""
	case err != nil:
		return "It failed: " + activities.FromTemporal(err).Error()
	}
	done := ""
	switch r := res.(type) {
	case activities.BackupResult:
		for _, p := range r.Problems {
			if p.Asset == "" { // of the whole run
				return fmt.Sprintf("The backup is not complete: %s; %s", p.Problem, p.Action)
			}
		}
		if r.Holes() {
			return fmt.Sprintf("The backup is not complete: %s of %s assets have holes.", humanize.Comma(r.Assets.Incomplete+r.Assets.Failed), humanize.Comma(r.Assets.Total))
		}
		done = fmt.Sprintf("The backup of %s assets is complete.", humanize.Comma(r.Assets.Total))
	case activities.RestoreResult:
		if r.Count > 0 {
			return fmt.Sprintf("The restore could not write everything: %s problems.", humanize.Comma(r.Count))
		}
		done = fmt.Sprintf("The restore of %s assets is complete.", humanize.Comma(r.Assets))
	case activities.VerifyResult:
		if r.Count > 0 {
			return fmt.Sprintf("Damage was found: %s objects. lightfast verify names them.", humanize.Comma(r.Count))
		}
		done = "The repository is sound."
	}
	if took < goneElsewhere {
		return ""
	}
	return done
}
