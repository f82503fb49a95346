package wire

import (
	"context"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"lightfast/internal/exit"
)

// HostQueue is the task queue of a host in a cluster: a library is worked off
// where its disk is.
func HostQueue(hostID string) string { return "lightfast-" + hostID }

// pollerTime is how long Temporal remembers who asked a queue for work: a long
// poll lasts a minute.
const pollerTime = 70 * time.Second

// CheckAlone fails where a worker of another identity serves a host's queue:
// a state directory was copied, and two would work off one plan. One of our
// own that died is none.
func CheckAlone(ctx context.Context, c client.Client, hostID string) error {
	d, err := c.DescribeTaskQueue(ctx, HostQueue(hostID), enumspb.TASK_QUEUE_TYPE_ACTIVITY)
	if err != nil {
		return err
	}
	for _, p := range d.Pollers {
		if p.Identity != hostID && time.Since(p.LastAccessTime.AsTime()) < pollerTime {
			return &exit.Error{Code: exit.InUse, What: "queue " + HostQueue(hostID), Err: fmt.Errorf("another worker, %s, serves it", p.Identity),
				Do: "end that worker, or give this one a --state of its own"}
		}
	}
	return nil
}
