package sandbox

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sluice/broker/lease"
)

// Limits on what a Spec may say.
const (
	IDBytesMax      = 63
	NameBytesMax    = 63
	ImageBytesMax   = 255
	CommandArgsMax  = 256
	CommandBytesMax = 64 << 10 // all arguments together
	EnvVarsMax      = 256
	EnvBytesMax     = 64 << 10 // all names and values together
	CPUMilliMax     = 1_024_000
	MemoryBytesMin  = 16 << 20 // less does not carry a container's start
	MemoryBytesMax  = 1 << 46
	PortMax         = 65535
	PathBytesMax    = 1024
	SocketBytesMax  = 107 // sun_path of unix(7) without its terminator
)

// SocketName is the name, in the function folder, of the socket that a function serves on.
const SocketName = "function.sock"

// Names of the environment variables that a Sandbox sets for the program. A Spec may not set them, nor those of package inject.
const (
	EnvFunction = "SLUICE_FUNCTION"        // the Function's name
	EnvVersion  = "SLUICE_VERSION"         // the Version's name
	EnvInstance = "SLUICE_INSTANCE"        // the Instance's id
	EnvSocket   = "SLUICE_FUNCTION_SOCKET" // where to serve, as the program sees it; not set where Port is
)

// reservedEnv lists the variables of this package and of package inject (which may not be imported from here).
var reservedEnv = []string{EnvFunction, EnvVersion, EnvInstance, EnvSocket, "SLUICE_SOCKET", "SLUICE_TOKEN"}

var (
	idPattern    = regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*$`)
	namePattern  = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?$`)
	imagePattern = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._/:@-]*$`)
	envPattern   = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)

// Spec says what to run and within which limits.
type Spec struct {
	ID       string // unique among all Instances of the node
	Tenant   string
	Function string
	Version  string

	Image   string            // name of an imported image; a process sandbox takes none
	Command []string          // program and arguments; overrides the image's entrypoint
	Dir     string            // working folder of a process sandbox; a container has its image's
	Env     map[string]string // on top of the image's

	CPUMilli    int    // thousandths of a CPU; 0 means no limit
	MemoryBytes uint64 // 0 means no limit

	Port        int    // the function serves on this TCP port of its own network; 0 means on its socket
	LogPath     string // output and errors of the program are appended to this file
	FunctionDir string // existing host folder for the function's socket; belongs to this Instance alone

	Lease *lease.Lease // nil: the function asks for no device and sees nothing of one
}

// Identity returns the part of the Spec that is kept with the Instance.
func (s Spec) Identity() Identity {
	identity := Identity{
		ID: s.ID, Tenant: s.Tenant, Function: s.Function, Version: s.Version,
		LogPath: s.LogPath, FunctionDir: s.FunctionDir,
	}
	if s.Lease != nil {
		identity.LeaseID = s.Lease.ID
	}
	return identity
}

// InstanceEnv returns the variables by which a program learns what it is and, where it has no Port, where to serve.
// functionDir is the function folder as the program sees it.
func (s Spec) InstanceEnv(functionDir string) map[string]string {
	env := map[string]string{EnvFunction: s.Function, EnvVersion: s.Version, EnvInstance: s.ID}
	if s.Port == 0 {
		env[EnvSocket] = filepath.Join(functionDir, SocketName)
	}
	return env
}

// Validate checks all that does not depend on the kind of Sandbox; the error wraps ErrInvalid.
func (s Spec) Validate() error {
	if len(s.ID) > IDBytesMax || !idPattern.MatchString(s.ID) {
		return invalid("id %q: 1 to %d lower case letters and digits, with single . _ - between them", clip(s.ID), IDBytesMax)
	}
	for _, field := range []struct{ name, value string }{
		{"tenant", s.Tenant}, {"function", s.Function}, {"version", s.Version},
	} {
		if len(field.value) > NameBytesMax || !namePattern.MatchString(field.value) {
			return invalid("%s %q: 1 to %d letters, digits and . _ -", field.name, clip(field.value), NameBytesMax)
		}
	}
	if s.Image != "" && (len(s.Image) > ImageBytesMax || !imagePattern.MatchString(s.Image)) {
		return invalid("image %q: at most %d letters, digits and . _ / : @ -", clip(s.Image), ImageBytesMax)
	}
	if err := s.validateCommand(); err != nil {
		return err
	}
	if err := s.validateEnv(); err != nil {
		return err
	}
	if err := s.validateLimits(); err != nil {
		return err
	}
	return s.validatePaths()
}

func (s Spec) validateCommand() error {
	if len(s.Command) > CommandArgsMax {
		return invalid("command has %d arguments, may have %d", len(s.Command), CommandArgsMax)
	}
	if len(s.Command) > 0 && s.Command[0] == "" {
		return invalid("command starts with an empty string")
	}
	size := 0
	for i, arg := range s.Command {
		size += len(arg)
		if strings.ContainsRune(arg, 0) {
			return invalid("command argument %d contains a zero byte", i)
		}
	}
	if size > CommandBytesMax {
		return invalid("command has %d bytes, may have %d", size, CommandBytesMax)
	}
	return nil
}

func (s Spec) validateEnv() error {
	if len(s.Env) > EnvVarsMax {
		return invalid("env has %d variables, may have %d", len(s.Env), EnvVarsMax)
	}
	size := 0
	for name, value := range s.Env {
		size += len(name) + len(value)
		if !envPattern.MatchString(name) {
			return invalid("env %q: a name has letters, digits and _ and starts with no digit", clip(name))
		}
		if slices.Contains(reservedEnv, name) {
			return invalid("env %s is set by the sandbox", name)
		}
		if strings.ContainsRune(value, 0) {
			return invalid("env %s contains a zero byte", clip(name))
		}
	}
	if size > EnvBytesMax {
		return invalid("env has %d bytes, may have %d", size, EnvBytesMax)
	}
	return nil
}

func (s Spec) validateLimits() error {
	if s.CPUMilli < 0 || s.CPUMilli > CPUMilliMax {
		return invalid("cpu %dm: 0 to %dm", s.CPUMilli, CPUMilliMax)
	}
	if s.MemoryBytes != 0 && (s.MemoryBytes < MemoryBytesMin || s.MemoryBytes > MemoryBytesMax) {
		return invalid("memory %d bytes: 0, or %d to %d", s.MemoryBytes, MemoryBytesMin, uint64(MemoryBytesMax))
	}
	if s.Port < 0 || s.Port > PortMax {
		return invalid("port %d: 0 to %d", s.Port, PortMax)
	}
	return nil
}

func (s Spec) validatePaths() error {
	for _, field := range []struct{ name, value string }{
		{"log path", s.LogPath}, {"function folder", s.FunctionDir},
	} {
		if len(field.value) > PathBytesMax || !filepath.IsAbs(field.value) ||
			filepath.Clean(field.value) != field.value || strings.ContainsRune(field.value, 0) {
			return invalid("%s %q: an absolute, clean path of at most %d bytes", field.name, clip(field.value), PathBytesMax)
		}
	}
	if size := len(filepath.Join(s.FunctionDir, SocketName)); size > SocketBytesMax {
		return invalid("function folder %q: its socket's path has %d bytes, may have %d", s.FunctionDir, size, SocketBytesMax)
	}
	if s.Dir != "" && !filepath.IsAbs(s.Dir) {
		return invalid("working folder %q: an absolute path", clip(s.Dir))
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// clip keeps hostile names from flooding a log.
func clip(s string) string {
	const bytesMax = 80
	if len(s) > bytesMax {
		return s[:bytesMax] + "..."
	}
	return s
}
