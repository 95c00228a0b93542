// Command sluice is the daemon of one machine (`sluice serve`) and the command line that speaks to it. It never loads a
// vendor's driver: sluice-worker does.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"sluice/cmd/sluice/config"
)

const (
	stateFolderDefault = "/var/lib/sluice"
	socketName         = "sluice.sock"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := newRootCommand().ExecuteContext(ctx)
	if err == nil {
		return
	}
	if !errors.As(err, new(exitError)) {
		fmt.Fprintln(os.Stderr, "sluice:", explain(err))
	}
	os.Exit(exitCode(err))
}

// globals are the flags that every command knows.
type globals struct {
	stateFolder string
	configFile  string // empty: config.FileDefault if there is one
	tenant      string
	remote      remote
}

func (g *globals) socket() string { return filepath.Join(g.stateFolder, socketName) }

func newRootCommand() *cobra.Command {
	var g globals
	root := &cobra.Command{
		Use:           "sluice",
		Short:         "Serverless functions on leased slices of accelerators",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return loadState(&g, cmd.Flags()) }
	flags := root.PersistentFlags()
	flags.AddFlagSet(stateFlag(&g))
	flags.StringVar(&g.configFile, "config", os.Getenv(configVariable), "the configuration file ("+configVariable+"; default "+config.FileDefault+" if there is one)")
	flags.StringVar(&g.tenant, "tenant", "", "whose functions and leases; empty for the default tenant")
	g.remote.register(flags)
	root.AddCommand(
		newServeCommand(&g), newImageCommand(&g), newDeployCommand(&g), newFunctionsCommand(&g), newRemoveCommand(&g), newInvokeCommand(&g),
		newDevicesCommand(&g), newLeasesCommand(&g), newInstancesCommand(&g), newLogsCommand(&g), newRunCommand(&g), newTraceCommand(&g),
		newTenantsCommand(&g), newConfigCommand(&g), newDescribeCommand(&g), newTopCommand(&g), newDoctorCommand(&g), newDrainCommand(&g),
	)
	prepareCommands(root)
	return root
}

// prepareCommands makes wrong arguments usage errors, and lets a command that only groups others refuse unknown ones.
func prepareCommands(command *cobra.Command) {
	command.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	if command.HasSubCommands() && !command.Runnable() {
		command.Args = cobra.ArbitraryArgs
		command.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return usageError{fmt.Errorf("unknown command %q; `%s --help` lists them", args[0], cmd.CommandPath())}
		}
	}
	if check := command.Args; check != nil {
		command.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	for _, below := range command.Commands() {
		prepareCommands(below)
	}
}
