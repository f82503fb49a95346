package engine

import (
	"context"
	"fmt"
	"net"

	"github.com/temporalio/ui-server/v2/server"
	"github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/server_options"
)

// ui is Temporal's web page. Its files are in the binary.
type ui struct {
	server *server.Server
	done   chan struct{} // closed when it does not serve any more
}

// startUI returns when the page answers. It ends the process if the port was taken since it was chosen.
func startUI(ctx context.Context, p port, frontend string) (*ui, error) {
	u := &ui{
		server: server.NewServer(server_options.WithConfigProvider(&config.Config{
			TemporalGRPCAddress: frontend,
			Host:                loopback,
			Port:                int(p),
			EnableUI:            true,
			DefaultNamespace:    Namespace,
			HideLogs:            true,
			DisableNewsFetch:    true,
			CORS:                config.CORS{CookieInsecure: true}, // it is served without TLS
		})),
		done: make(chan struct{}),
	}
	go func() {
		defer close(u.done)
		_ = u.server.Start() // answers nil, or ends the process
	}()
	return u, u.answers(ctx, p)
}

func (u *ui) answers(ctx context.Context, p port) error {
	for {
		conn, err := net.Dial("tcp", p.address())
		if err == nil {
			return conn.Close()
		}
		if err := pause(ctx, look); err != nil {
			return fmt.Errorf("wait for the web page: %w", err)
		}
	}
}

func (u *ui) stop() {
	u.server.Stop()
	<-u.done
}
