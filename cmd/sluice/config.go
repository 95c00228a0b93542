package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/cmd/sluice/config"
)

//go:generate sh -c "CGO_ENABLED=0 go run . config template >../../deploy/sluice.yaml"

const configVariable = "SLUICE_CONFIG"

var errNoState = errors.New("the state folder's name is empty")

const templateHeader = `Configuration of sluice, to lie at ` + config.FileDefault + `. It holds every setting at its default; ` + "`sluice config check`" + `
says whether it is right. An environment variable is over this file, and a flag of ` + "`sluice serve`" + ` over both.`

// stateFlag is the one setting that every command shares with the daemon.
func stateFlag(g *globals) *pflag.FlagSet {
	set := pflag.NewFlagSet("state", pflag.ContinueOnError)
	set.StringVar(&g.stateFolder, "state", stateFolderDefault, "the daemon's state folder")
	return set
}

// daemonSettings are all that a configuration file may hold, at their defaults.
func daemonSettings(flags *serveFlags) *pflag.FlagSet {
	set := stateFlag(new(globals))
	flags.register(set)
	return set
}

func (g *globals) readConfig() (config.File, error) {
	if g.configFile != "" {
		return config.Read(g.configFile)
	}
	return config.ReadDefault()
}

// loadState finds the daemon's state folder. A command that only speaks to the daemon does not mind the other settings.
func loadState(g *globals, given *pflag.FlagSet) error {
	file, err := g.readConfig()
	if err != nil {
		return err
	}
	set := pflag.NewFlagSet("state", pflag.ContinueOnError)
	set.AddFlag(given.Lookup("state"))
	if _, err = config.Load(set, file, os.LookupEnv); err == nil && g.stateFolder == "" {
		err = errNoState
	}
	return err
}

// loadSettings gives the daemon's settings their values. A flag of the command stands for the setting of its name, and keeps
// what it was given on the command line.
func loadSettings(g *globals, settings, given *pflag.FlagSet) ([]config.Setting, error) {
	file, err := g.readConfig()
	if err != nil {
		return nil, err
	}
	if err := file.Unknown(settings); err != nil {
		return nil, err
	}
	effective := pflag.NewFlagSet("settings", pflag.ContinueOnError)
	settings.VisitAll(func(flag *pflag.Flag) {
		if of := given.Lookup(flag.Name); of != nil {
			flag = of
		}
		effective.AddFlag(flag)
	})
	loaded, err := config.Load(effective, file, os.LookupEnv)
	if err == nil && effective.Lookup("state").Value.String() == "" {
		err = errNoState
	}
	return loaded, err
}

func newConfigCommand(g *globals) *cobra.Command {
	command := &cobra.Command{Use: "config", Short: "Check, show or begin the daemon's configuration"}
	check := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say whether a configuration file is right, together with this environment",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				g.configFile = args[0]
			}
			var flags serveFlags
			if _, err := loadSettings(g, daemonSettings(&flags), cmd.Flags()); err != nil {
				return err
			}
			if err := flags.check(); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "the configuration is right")
			return nil
		},
	}
	var output *string
	show := &cobra.Command{
		Use:   "show",
		Short: "Print every setting of the daemon, and where its value comes from",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := loadSettings(g, daemonSettings(new(serveFlags)), cmd.Flags())
			if err != nil {
				return err
			}
			var rows [][]string
			for _, s := range settings {
				rows = append(rows, []string{s.Key, orDash(s.Value), string(s.Source)})
			}
			return printList(cmd.OutOrStdout(), *output, settings, "KEY VALUE SOURCE", rows)
		},
	}
	output = addOutputFlag(show)
	template := &cobra.Command{
		Use:   "template",
		Short: "Print a configuration file with every setting at its default, commented",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return config.Template(cmd.OutOrStdout(), templateHeader, daemonSettings(new(serveFlags)))
		},
	}
	// They say what is wrong with a configuration, so they must not fail for it before they run.
	command.PersistentPreRunE = func(*cobra.Command, []string) error { return nil }
	command.AddCommand(check, show, template)
	return command
}
