//go:build soak

package main

import (
	"context"
	"net"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/api/proxy"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"lightfast/objectstore/storetest"
)

var servers = map[string]func(testing.TB) storetest.Server{"MinIO": storetest.MinIO, "versitygw": storetest.Versitygw}

// TestSoakFilmKills is the kill matrix of one large object: 20 kills, each
// costs at most the parts that were on their way.
func TestSoakFilmKills(t *testing.T) {
	for name, serve := range servers {
		t.Run(name, func(t *testing.T) {
			killFilm(t, serve(t), filmKills{size: 2 << 30, part: 16 * mib, kills: 20, seed: 20})
		})
	}
}

func TestSoakFilmKillsWithEveryHeartbeatLost(t *testing.T) {
	for name, serve := range servers {
		t.Run(name, func(t *testing.T) {
			killFilmUnheard(t, serve(t), filmKills{size: 2 << 30, part: 16 * mib, kills: 20, seed: 21})
		})
	}
}

// TestSoakFilmOfManyParts has more parts than one answer of a store lists.
func TestSoakFilmOfManyParts(t *testing.T) {
	for name, serve := range servers {
		t.Run(name, func(t *testing.T) {
			killFilm(t, serve(t), filmKills{size: 5200 * mib, part: 5 * mib, kills: 3, seed: 22, hollow: true})
		})
	}
}

// killFilmUnheard kills workers of a cluster whose heartbeats never reach the
// server. In the end it makes the last one wait for longer than the server
// waits for a heartbeat: then a second attempt begins where the first goes on.
func killFilmUnheard(t *testing.T, srv storetest.Server, k filmKills) {
	t.Helper()
	p, link := filmPlace(t, srv, k)
	c := newCluster(t)
	c.env = p.env
	server := c.address
	beats := c.unheard()
	next := k.points()
	link.holdAt(next())
	w := c.work()
	b := p.begin("backup", "--address", server, "--on", c.host, "--source", p.source, "--to", p.dest)
	go func() { // or its events fill up
		for range b.events {
		}
	}()
	kill := func(w *exec.Cmd) {
		w.Process.Kill()
		w.Wait() // killed
	}
	for range k.kills {
		link.waitHeld(t)
		kill(w)
		link.holdAt(link.sent() + next())
		w = c.work()
	}
	link.waitHeld(t)
	<-time.After(45 * time.Second) // twice what lane large allows, less than a store would
	link.holdAt(1 << 62)
	b.cmd.Wait() // its code is what counts
	if code := b.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("backup ended with %d, want 0", code)
	}
	if beats.Load() == 0 {
		t.Error("no heartbeat was lost")
	}
	t.Logf("%d heartbeats lost", beats.Load())
	c.end(w)
	k.whole(p, srv, link, k.kills)
}

// unheard has the cluster's workers talk to the server through a proxy that
// answers their heartbeats itself.
func (c *cluster) unheard() (lost *atomic.Int64) {
	c.t.Helper()
	conn, err := grpc.NewClient(c.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		c.t.Fatal(err)
	}
	through, err := proxy.NewWorkflowServiceProxyServer(proxy.WorkflowServiceProxyOptions{Client: workflowservice.NewWorkflowServiceClient(conn)})
	if err != nil {
		c.t.Fatal(err)
	}
	lost = new(atomic.Int64)
	front := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, call *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		if call.FullMethod == workflowservice.WorkflowService_RecordActivityTaskHeartbeat_FullMethodName {
			lost.Add(1)
			return &workflowservice.RecordActivityTaskHeartbeatResponse{}, nil
		}
		return handle(ctx, req)
	}))
	workflowservice.RegisterWorkflowServiceServer(front, through)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		front.Serve(l) // until Stop
	}()
	c.t.Cleanup(func() {
		front.Stop()
		<-done
		conn.Close()
	})
	c.address = l.Addr().String()
	return lost
}
