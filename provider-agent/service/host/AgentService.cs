// The agent as a Windows service. It is compiled when the service is installed; its one argument is the name of the service, and launch.txt lies beside it.
using System;
using System.ComponentModel;
using System.Diagnostics;
using System.IO;
using System.ServiceProcess;

namespace Farshore
{
    public sealed class AgentService : ServiceBase
    {
        // Longer than the agent lets commands finish. What is cut off is in its journal.
        private const int StopLimitMs = 30000;
        private const int Fallen = 402;
        private const int Ended = 403;
        // A mistake that a start does not mend: agent.yaml, or not registered. Then the service stays stopped.
        private const int Mistaken = 2;
        private const int Unregistered = 3;
        private const int ServiceSpecificError = 1066;
        private readonly AgentProcess agent = new AgentProcess();

        private AgentService(string name)
        {
            ServiceName = name;
            CanShutdown = true;
            // The agent tells of its start and its end in words of its own.
            AutoLog = false;
            EventLog.Source = name;
            EventLog.Log = "Application";
        }

        public static void Main(string[] arguments)
        {
            Run(new AgentService(arguments.Length > 0 ? arguments[0] : "FarshoreAgent"));
        }

        protected override void OnStart(string[] arguments)
        {
            agent.Told += told => Write(told.Id, told.Level, told.Text);
            agent.Fell += Fell;
            try
            {
                agent.Start(AgentProcess.ReadLaunch(Path.Combine(AppDomain.CurrentDomain.BaseDirectory, "launch.txt")));
            }
            catch (Exception error)
            {
                Write(Fallen, "error", "The agent could not be started: " + error.Message);
                throw;
            }
        }

        protected override void OnStop()
        {
            RequestAdditionalTime(StopLimitMs + 10000);
            if (!agent.Stop(StopLimitMs)) Write(Ended, "warning", "The agent did not stop in time and was ended. What it was doing is in its journal.");
        }

        // Windows waits only seconds then. The end of its input reaches the agent in any case.
        protected override void OnShutdown()
        {
            agent.Stop(StopLimitMs);
        }

        private void Fell(int exitCode, string said)
        {
            Write(Fallen, "error", "The agent ended by itself with exit code " + exitCode + "." + Environment.NewLine + said);
            if (exitCode != Mistaken && exitCode != Unregistered) Environment.Exit(1); // the service control manager starts it again
            ExitCode = ServiceSpecificError;
            Stop();
        }

        private void Write(int id, string level, string text)
        {
            var type = level == "error" ? EventLogEntryType.Error : level == "warning" ? EventLogEntryType.Warning : EventLogEntryType.Information;
            try { EventLog.WriteEntry(text, type, id); }
            catch (Win32Exception) { }
            catch (InvalidOperationException) { }
            catch (System.Security.SecurityException) { }
        }
    }
}
