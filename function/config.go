package function

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"
)

// drainTimeout is how long inferences may go on after SIGTERM.
const drainTimeout = 10 * time.Second

// Config says where a Server listens and who it is.
type Config struct {
	// Function and Version are the names that requests may ask for; an empty one matches any.
	Function, Version string
	// Network and Address are those of net.Listen: "unix" and a path, or "tcp" and host:port.
	Network, Address string
	// DrainTimeout bounds how long inferences may go on once Run is told to stop.
	DrainTimeout time.Duration
	Log          *slog.Logger
}

// ConfigFromEnvironment reads the environment that an Instance is started with.
// SLUICE_FUNCTION_SOCKET is the path of the unix socket to serve on. Without it, PORT
// is a TCP port on the loopback interface. SLUICE_FUNCTION, SLUICE_VERSION and
// SLUICE_INSTANCE name the function, its version and the instance.
func ConfigFromEnvironment() (Config, error) {
	config := Config{
		Function:     os.Getenv("SLUICE_FUNCTION"),
		Version:      os.Getenv("SLUICE_VERSION"),
		DrainTimeout: drainTimeout,
		Log:          newLog(),
	}
	if path := os.Getenv("SLUICE_FUNCTION_SOCKET"); path != "" {
		config.Network, config.Address = "unix", path
		return config, nil
	}
	port := os.Getenv("PORT")
	if port == "" {
		return Config{}, errors.New("neither SLUICE_FUNCTION_SOCKET, a path, nor PORT, a TCP port, is set")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return Config{}, fmt.Errorf("PORT is %q, want a number from 0 to 65535", port)
	}
	config.Network, config.Address = "tcp", net.JoinHostPort("127.0.0.1", port)
	return config, nil
}

// newLog writes to the standard error, which the runtime keeps as the instance's log.
func newLog() *slog.Logger {
	return slog.New(slog.NewJSONHandler(os.Stderr, nil)).With(
		"function", os.Getenv("SLUICE_FUNCTION"),
		"version", os.Getenv("SLUICE_VERSION"),
		"instance", os.Getenv("SLUICE_INSTANCE"),
	)
}

// listen opens the address. A socket that an earlier process left is replaced.
func (c Config) listen() (net.Listener, error) {
	if c.Network == "unix" {
		if err := removeSocket(c.Address); err != nil {
			return nil, err
		}
	}
	listener, err := net.Listen(c.Network, c.Address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return listener, nil
}

func removeSocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for an old socket: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("listen: %s exists and is no socket", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove the old socket: %w", err)
	}
	return nil
}
