// Package dial connects to a Temporal server, embedded or not, and goes on
// when that server is started anew.
package dial

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// Namespace is where everything of ours runs in embedded servers.
const Namespace = "lightfast"

// look is the pause between two looks at a server that does not answer yet.
const look = 10 * time.Millisecond

// Options of Temporal.
type Options struct {
	Namespace string       // "": the one of embedded servers
	Identity  string       // how the server knows this process and its workers: the host id
	Log       *slog.Logger // nil: nothing is logged
}

// Temporal returns a client for a server, embedded or not, whose namespace has answered; it waits for that until ctx
// ends. When the server dies, the client goes on within a second of the next one listening at the same address.
func Temporal(ctx context.Context, address string, o Options) (client.Client, error) {
	if o.Namespace == "" {
		o.Namespace = Namespace
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c, err := client.NewLazyClient(client.Options{
		HostPort:  address,
		Namespace: o.Namespace,
		Identity:  o.Identity,
		Logger:    sdklog.NewStructuredLogger(o.Log),
		ConnectionOptions: client.ConnectionOptions{
			DialOptions: []grpc.DialOption{Reconnect},
			// The SDK's 5 s are too few for a server that has just started on a busy machine.
			GetSystemInfoTimeout: 30 * time.Second,
			GrpcCompression:      compression(address),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("connect to temporal at %s: %w", address, err)
	}
	if err := ready(ctx, c, o.Namespace); err != nil {
		c.Close()
		return nil, fmt.Errorf("connect to temporal at %s: %w", address, err)
	}
	return c, nil
}

// compression is the SDK's own, but for a server on this machine, where nothing is won by it.
func compression(address string) client.GrpcCompression {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && ip.IsLoopback() {
		return &client.GrpcCompressionNone{}
	}
	return &client.GrpcCompressionGzip{}
}

// Reconnect knocks at a dead server's port every second at least; gRPC would wait up to two minutes.
var Reconnect = grpc.WithConnectParams(grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
	MinConnectTimeout: 5 * time.Second,
})

// ready asks for the namespace until the server answers.
func ready(ctx context.Context, c client.Client, namespace string) error {
	for {
		_, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
		if _, down := errors.AsType[*serviceerror.Unavailable](err); !down || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err // it tells more than the end of the wait
		case <-time.After(look):
		}
	}
}
