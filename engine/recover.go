package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/server/api/adminservice/v1"
	"go.temporal.io/server/api/persistence/v1"
	"go.temporal.io/server/api/token/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"lightfast/internal/dial"
)

// Recovered counts what Recover has set free.
type Recovered struct {
	Workflows     int // open workflows that were looked at
	WorkflowTasks int
	Activities    int
}

// Recover sets free what a dead process of ours had taken of a workflow and of its open children, so that the work
// goes on at once instead of after the timeouts by which Temporal notices a death (10 s for a workflow task, the
// heartbeat timeout for an activity). An activity keeps its last heartbeat and uses up one attempt.
//
// Call it with the lock of the run held and before any worker of ours polls: Temporal cannot tell a dead process from
// a busy one, and what a living worker has in hand would be done twice. Activities that a worker of another identity
// has taken are left alone. A workflow that does not exist or is closed yields zero counts; what gets done while
// Recover looks at it is no error.
func Recover(ctx context.Context, address, workflowID, identity string) (Recovered, error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), dial.Reconnect,
		grpc.WithUnaryInterceptor(temporalErrors),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(128<<20))) // as the SDK; a whole mutable state is read
	if err != nil {
		return Recovered{}, fmt.Errorf("recover %s: %w", workflowID, err)
	}
	r := recovery{
		frontend: workflowservice.NewWorkflowServiceClient(conn),
		admin:    adminservice.NewAdminServiceClient(conn),
		identity: identity,
	}
	if err := errors.Join(r.workflow(ctx, workflowID), conn.Close()); err != nil {
		return r.done, fmt.Errorf("recover %s: %w", workflowID, err)
	}
	return r.done, nil
}

type recovery struct {
	frontend workflowservice.WorkflowServiceClient
	admin    adminservice.AdminServiceClient
	identity string
	done     Recovered
}

// retryDelay is explicit: the policy's own delay doubles with every kill of a long activity.
const retryDelay = 50 * time.Millisecond

// processLost is the failure that the history shows.
var processLost = &failurepb.Failure{
	Message: "the process that had this in hand has ended",
	Source:  "lightfast",
	FailureInfo: &failurepb.Failure_ApplicationFailureInfo{ApplicationFailureInfo: &failurepb.ApplicationFailureInfo{
		Type:           "ProcessLost",
		NextRetryDelay: durationpb.New(retryDelay),
	}},
}

// workflow frees the current run of a workflow, then its children.
func (r *recovery) workflow(ctx context.Context, id string) error {
	w, err := r.frontend.DescribeWorkflowExecution(ctx, &workflowservice.DescribeWorkflowExecutionRequest{
		Namespace: Namespace,
		Execution: &commonpb.WorkflowExecution{WorkflowId: id},
	})
	if err != nil {
		return unlessGone(err)
	}
	if w.GetWorkflowExecutionInfo().GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return nil
	}
	r.done.Workflows++
	run := w.GetWorkflowExecutionInfo().GetExecution()
	// Before the activities, whose end makes a new task.
	if err := unlessGone(r.task(ctx, run)); err != nil {
		return fmt.Errorf("workflow task: %w", err)
	}
	for _, a := range w.GetPendingActivities() {
		if a.GetLastWorkerIdentity() != r.identity {
			continue
		}
		if err := r.activity(ctx, run, a); err != nil {
			return fmt.Errorf("activity %s: %w", a.GetActivityId(), err)
		}
	}
	for _, child := range w.GetPendingChildren() {
		// By its id alone: after continue-as-new the parent still knows the first run only.
		if err := r.workflow(ctx, child.GetWorkflowId()); err != nil {
			return fmt.Errorf("child %s: %w", child.GetWorkflowId(), err)
		}
	}
	return nil
}

func (r *recovery) activity(ctx context.Context, run *commonpb.WorkflowExecution, a *workflowpb.PendingActivityInfo) error {
	var err error
	switch a.GetState() {
	case enums.PENDING_ACTIVITY_STATE_STARTED, enums.PENDING_ACTIVITY_STATE_PAUSE_REQUESTED:
		_, err = r.frontend.RespondActivityTaskFailedById(ctx, &workflowservice.RespondActivityTaskFailedByIdRequest{
			Namespace: Namespace, WorkflowId: run.GetWorkflowId(), RunId: run.GetRunId(), ActivityId: a.GetActivityId(),
			Failure: processLost, Identity: r.identity,
		})
	case enums.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED:
		// It would not be retried, and the workflow would see a failure where it waits for a cancellation.
		_, err = r.frontend.RespondActivityTaskCanceledById(ctx, &workflowservice.RespondActivityTaskCanceledByIdRequest{
			Namespace: Namespace, WorkflowId: run.GetWorkflowId(), RunId: run.GetRunId(), ActivityId: a.GetActivityId(),
			Identity: r.identity,
		})
	default:
		return nil
	}
	if err == nil {
		r.done.Activities++
	}
	return unlessGone(err)
}

// task frees the workflow task, if there is one, and sends the next ones to a queue on which somebody listens.
func (r *recovery) task(ctx context.Context, run *commonpb.WorkflowExecution) error {
	state, err := r.admin.DescribeMutableState(ctx, &adminservice.DescribeMutableStateRequest{
		Namespace: Namespace, Execution: run,
	})
	if err != nil {
		return err
	}
	w := state.GetDatabaseMutableState().GetExecutionInfo()
	switch {
	case w.GetWorkflowTaskStartedEventId() != 0:
		return r.failTask(ctx, run, w)
	case w.GetStickyTaskQueue() != "":
		return r.unstick(ctx, run, w)
	}
	return nil
}

// failTask reports a task as failed that the dead process had taken. A worker is told the token with its task, but
// the token is plain data.
func (r *recovery) failTask(ctx context.Context, run *commonpb.WorkflowExecution, w *persistence.WorkflowExecutionInfo) error {
	task, err := proto.Marshal(&token.Task{
		NamespaceId:      w.GetNamespaceId(),
		WorkflowId:       run.GetWorkflowId(),
		RunId:            run.GetRunId(),
		ScheduledEventId: w.GetWorkflowTaskScheduledEventId(),
		StartedEventId:   w.GetWorkflowTaskStartedEventId(),
		Attempt:          w.GetWorkflowTaskAttempt(),
		Version:          w.GetWorkflowTaskVersion(),
		StartedTime:      w.GetWorkflowTaskStartedTime(),
	})
	if err != nil {
		return err
	}
	_, err = r.frontend.RespondWorkflowTaskFailed(ctx, &workflowservice.RespondWorkflowTaskFailedRequest{
		Namespace: Namespace,
		TaskToken: task,
		// The cause says what it does; no other one is without a side effect of its own.
		Cause:    enums.WORKFLOW_TASK_FAILED_CAUSE_RESET_STICKY_TASK_QUEUE,
		Failure:  processLost,
		Identity: r.identity,
	})
	if err == nil {
		r.done.WorkflowTasks++
	}
	return err
}

// unstick forgets the queue on which only the dead process listened. A task that lies there already is sent again;
// its copy is ignored when its timeout finds it.
func (r *recovery) unstick(ctx context.Context, run *commonpb.WorkflowExecution, w *persistence.WorkflowExecutionInfo) error {
	_, err := r.frontend.ResetStickyTaskQueue(ctx, &workflowservice.ResetStickyTaskQueueRequest{
		Namespace: Namespace, Execution: run,
	})
	if err != nil || w.GetWorkflowTaskScheduledEventId() == 0 {
		return err
	}
	_, err = r.admin.RefreshWorkflowTasks(ctx, &adminservice.RefreshWorkflowTasksRequest{
		NamespaceId: w.GetNamespaceId(), Execution: run,
	})
	if err == nil {
		r.done.WorkflowTasks++
	}
	return err
}

// unlessGone forgives that something is not open any more.
func unlessGone(err error) error {
	if _, ok := errors.AsType[*serviceerror.NotFound](err); ok {
		return nil
	}
	return err
}

// temporalErrors gives the server's errors their types, as the SDK does.
func temporalErrors(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return serviceerror.FromStatus(status.Convert(invoke(ctx, method, req, reply, cc, opts...)))
}
