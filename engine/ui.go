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
	port   port
	server *server.Server
	done   chan struct{} // closed when it does not serve any more
}

// startUI ends the process if the port was taken since it was chosen.
func startUI(p port, frontend string) *ui {
	u := &ui{
		port: p,
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
	return u
}

// answers waits until the page can be reached.
func (u *ui) answers(ctx context.Context) error {
	for {
		conn, err := net.Dial("tcp", u.port.address())
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
