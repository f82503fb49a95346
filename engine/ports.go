package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

const loopback = "127.0.0.1"

// Ports are drawn below the range from which Linux (from 32768) and macOS (from 49152) take the local ends of
// connections: there a client of a dead server that dials again and again ends up, sooner or later, connected to
// itself, and then the next server cannot have its port back.
const firstPort, lastPort = 20000, 30000

type port int

func (p port) address() string { return net.JoinHostPort(loopback, strconv.Itoa(int(p))) }

// ports are all that the engine listens on.
type ports struct{ frontend, history, matching, worker, ui port }

// choosePorts takes the frontend's and the web page's port of the last server of this directory again where they
// are free, so that clients and browser tabs of a dead server go on. A uiPort that is asked for must be free.
func choosePorts(dir string, uiPort int) (ports, error) {
	var last ports
	if data, err := os.ReadFile(filepath.Join(dir, lockFile)); err == nil {
		// Empty at first, or torn by a power cut: then any port will do.
		_, _ = fmt.Sscan(string(data), &last.frontend, &last.ui)
	}
	if uiPort != 0 {
		last.ui = port(uiPort)
	}
	var chosen []port
	for _, want := range []port{last.ui, last.frontend, 0, 0, 0} {
		p, err := choose(want, chosen)
		if err != nil {
			return ports{}, err
		}
		chosen = append(chosen, p)
	}
	p := ports{ui: chosen[0], frontend: chosen[1], history: chosen[2], matching: chosen[3], worker: chosen[4]}
	if uiPort != 0 && p.ui != port(uiPort) {
		return ports{}, fmt.Errorf("port %d of the web page is taken", uiPort)
	}
	return p, nil
}

// remember writes the ports for the next server into the lock file, which stays when the lock is gone.
func (p ports) remember(dir string) error {
	line := fmt.Sprintln(int(p.frontend), int(p.ui))
	if err := os.WriteFile(filepath.Join(dir, lockFile), []byte(line), 0o600); err != nil {
		return fmt.Errorf("remember ports: %w", err)
	}
	return nil
}

// choose returns want if it is free, else another free port.
func choose(want port, taken []port) (port, error) {
	for range 100 {
		if want != 0 && !slices.Contains(taken, want) && listens(want) {
			return want, nil
		}
		want = port(firstPort + rand.IntN(lastPort-firstPort))
	}
	return 0, errors.New("no free port on " + loopback)
}

// listens tells whether one can listen on p. The servers cannot be handed a listener, and both end the process when
// they do not get their port, so it is tried before.
func listens(p port) bool {
	l, err := net.Listen("tcp", p.address())
	return err == nil && l.Close() == nil
}
