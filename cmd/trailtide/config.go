package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
	"github.com/trailtide/trailtide/pipeline/enrich"
	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/window"
)

// Config is the worker's configuration file. Fields that are left out take the
// default that their comment names.
type Config struct {
	Rules          RulesConfig       `yaml:"rules"`
	Enrich         enrich.Options    `yaml:"enrich"`
	Source         SourceConfig      `yaml:"source"`
	Engine         string            `yaml:"engine"` // sqlite (default) or kafka
	SQLite         SQLiteConfig      `yaml:"sqlite"`
	Kafka          KafkaEngineConfig `yaml:"kafka"`
	Store          StoreConfig       `yaml:"store"`
	Notify         *bool             `yaml:"notify"`          // false: alerts are saved and nobody is told; default true
	CommitInterval time.Duration     `yaml:"commit_interval"` // default 200ms
	Lanes          int               `yaml:"lanes"`           // goroutines that match; default: one a core
	Validate       string            `yaml:"validate"`        // lazy (default) or full
	Limits         LimitsConfig      `yaml:"limits"`
	Windows        WindowsConfig     `yaml:"windows"`
	Sinks          []SinkConfig      `yaml:"sinks"`
	Admin          AdminConfig       `yaml:"admin"`
	Pprof          PprofConfig       `yaml:"pprof"`
	Log            LogConfig         `yaml:"log"`
	StopWithin     time.Duration     `yaml:"stop_within"` // deadline of a graceful stop; default 20s

	replay time.Time // where the source is read from again; zero: it goes on
}

// RulesConfig says which rules are in force.
type RulesConfig struct {
	Paths   []string `yaml:"paths"`
	Builtin *bool    `yaml:"builtin"` // the built-in pack too; default true
	Watch   *bool    `yaml:"watch"`   // reload when a file changes; default true
	Enable  []string `yaml:"enable"`  // switch rules on, by ID; * stands for any text
	Disable []string `yaml:"disable"` // switch rules off
	// Placeholders are the values of %name% in Sigma rules.
	Placeholders map[string][]string `yaml:"placeholders"`
}

// SQLiteConfig is the embedded engine.
type SQLiteConfig struct {
	Path      string        `yaml:"path"`       // default trailtide.db
	MaxAge    time.Duration `yaml:"max_age"`    // alerts older than this are deleted; default: none
	MaxAlerts int           `yaml:"max_alerts"` // the oldest alerts beyond this are deleted; default: none
}

// LimitsConfig bounds what a payload may grow to.
type LimitsConfig struct {
	MaxInflated int `yaml:"max_inflated"` // bytes; default 256 MiB
	MaxEvent    int `yaml:"max_event"`    // bytes; default 1 MiB
	MaxDepth    int `yaml:"max_depth"`    // default 64
}

// WindowsConfig is time and memory of the counting.
type WindowsConfig struct {
	Lateness    time.Duration `yaml:"lateness"`     // default 15m
	DedupWindow time.Duration `yaml:"dedup_window"` // default 24h
	MaxSeen     int           `yaml:"max_seen"`     // identities of plain alerts; default 1,000,000
	MaxKeys     int           `yaml:"max_keys"`     // default 2,000,000
	MaxBytes    int64         `yaml:"max_bytes"`    // approximate; default 256 MiB
	ForgetAfter time.Duration `yaml:"forget_after"` // absence keys; default 7 days
}

// AdminConfig is the HTTP listener for metrics, health and reload.
type AdminConfig struct {
	Listen   string       `yaml:"listen"`    // default 127.0.0.1:9464; "off": none
	Token    sinks.Secret `yaml:"token"`     // bearer token; needed beyond loopback unless client_ca is set
	CertFile string       `yaml:"cert_file"` // TLS
	KeyFile  string       `yaml:"key_file"`
	ClientCA string       `yaml:"client_ca"` // clients must show a certificate of this authority (mutual TLS)
}

// PprofConfig is an optional profiling listener, on loopback only.
type PprofConfig struct {
	Listen string `yaml:"listen"` // default: none
}

// LogConfig is how the worker logs.
type LogConfig struct {
	Level  string `yaml:"level"`  // debug, info (default), warn, error
	Format string `yaml:"format"` // json (default) or console
}

const defaultAdmin = "127.0.0.1:9464"

// LoadConfig reads, fills in and checks a configuration file: all problems at
// once, each with its line where it has one.
func LoadConfig(path string) (*Config, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := parseConfig(path, src, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Config) setDefaults(dir string) {
	def(&c.Engine, engineSQLite)
	def(&c.CommitInterval, 200*time.Millisecond)
	def(&c.Validate, "lazy")
	def(&c.Admin.Listen, defaultAdmin)
	def(&c.Log.Level, "info")
	def(&c.Log.Format, "json")
	def(&c.StopWithin, 20*time.Second)
	yes := true
	if c.Rules.Builtin == nil {
		c.Rules.Builtin = &yes
	}
	if c.Rules.Watch == nil {
		c.Rules.Watch = &yes
	}
	for i := range c.Rules.Paths {
		c.Rules.Paths[i] = relativeTo(dir, c.Rules.Paths[i])
	}
	c.Enrich.Relative(dir)
	c.setFleetDefaults(dir)
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// relativeTo reads a path as relative to the configuration file.
func relativeTo(dir, path string) string {
	if path == "" || path == "-" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// validate reports every problem. It opens no connection.
func (c *Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	errs = append(errs, c.validateFleet()...)
	oneOf := func(field, value string, words ...string) {
		if !slices.Contains(words, value) {
			bad("%s: %q is not one of %s", field, value, strings.Join(words, ", "))
		}
	}
	oneOf("validate", c.Validate, "lazy", "full")
	oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf("log.format", c.Log.Format, "json", "console")
	notNegative := func(field string, n int64) {
		if n < 0 {
			bad("%s: must not be negative", field)
		}
	}
	notNegative("lanes", int64(c.Lanes))
	notNegative("commit_interval", int64(c.CommitInterval))
	notNegative("stop_within", int64(c.StopWithin))
	notNegative("limits.max_inflated", int64(c.Limits.MaxInflated))
	notNegative("limits.max_event", int64(c.Limits.MaxEvent))
	notNegative("limits.max_depth", int64(c.Limits.MaxDepth))
	notNegative("windows.lateness", int64(c.Windows.Lateness))
	notNegative("windows.dedup_window", int64(c.Windows.DedupWindow))
	notNegative("windows.max_seen", int64(c.Windows.MaxSeen))
	notNegative("windows.max_keys", int64(c.Windows.MaxKeys))
	notNegative("windows.max_bytes", c.Windows.MaxBytes)
	notNegative("windows.forget_after", int64(c.Windows.ForgetAfter))
	notNegative("sqlite.max_age", int64(c.SQLite.MaxAge))
	notNegative("sqlite.max_alerts", int64(c.SQLite.MaxAlerts))
	if c.CommitInterval > time.Minute {
		bad("commit_interval: at most 1m")
	}
	errs = append(errs, prefixed("enrich", c.Enrich.Validate())...)
	errs = append(errs, c.Source.validate(c.Engine)...)
	names := make(map[string]bool)
	for i := range c.Sinks {
		s := &c.Sinks[i]
		if names[s.Name] {
			bad("sinks[%d].name: %q is used twice", i, s.Name)
		}
		names[s.Name] = true
		for _, err := range s.validate() {
			bad("sinks[%d]: %w", i, err)
		}
	}
	errs = append(errs, c.Admin.validate()...)
	if c.Pprof.Listen != "" {
		if err := loopbackOnly(c.Pprof.Listen); err != nil {
			bad("pprof.listen: %w", err)
		}
	}
	return errors.Join(errs...)
}

func (a *AdminConfig) validate() []error {
	if a.Listen == "off" {
		return nil
	}
	var errs []error
	if _, _, err := net.SplitHostPort(a.Listen); err != nil {
		errs = append(errs, fmt.Errorf("admin.listen: %w", err))
	} else if loopbackOnly(a.Listen) != nil && a.Token == "" && a.ClientCA == "" {
		errs = append(errs, fmt.Errorf("admin.listen: %s is reachable from other machines: set admin.token or admin.client_ca", a.Listen))
	}
	if (a.CertFile == "") != (a.KeyFile == "") {
		errs = append(errs, errors.New("admin: cert_file and key_file go together"))
	}
	if a.ClientCA != "" && a.CertFile == "" {
		errs = append(errs, errors.New("admin.client_ca: needs cert_file and key_file"))
	}
	return errs
}

// loopbackOnly answers an error unless addr is on the loopback interface.
func loopbackOnly(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%s is not a loopback address", addr)
}

func (c *Config) limits() cloudtrail.Limits {
	return cloudtrail.Limits{MaxInflated: c.Limits.MaxInflated, MaxEvent: c.Limits.MaxEvent, MaxDepth: c.Limits.MaxDepth}
}

func (c *Config) alerting() alerting.Options {
	w := c.Windows
	return alerting.Options{
		Lateness: w.Lateness, DedupWindow: w.DedupWindow, MaxSeen: w.MaxSeen, Quiet: !*c.Notify, Delays: true,
		Windows: window.Options{MaxKeys: w.MaxKeys, MaxBytes: w.MaxBytes, ForgetAfter: w.ForgetAfter},
	}
}
