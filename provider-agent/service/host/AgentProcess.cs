// Runs one agent: starts it as launch.txt says, hears what it tells an administrator, ends it in time. C# 5, for the compiler that Windows brings.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Text;
using System.Threading;

namespace Farshore
{
    /// <summary>What the agent wants an administrator to read: a line "farshore-event (id) (level) (text)" of its output.</summary>
    public sealed class AgentEvent
    {
        public readonly int Id;
        public readonly string Level;
        public readonly string Text;

        public AgentEvent(int id, string level, string text)
        {
            Id = id;
            Level = level;
            Text = text;
        }

        /// <summary>Null for any other line.</summary>
        public static AgentEvent Read(string line)
        {
            string[] parts = line.Split(new[] { ' ' }, 4);
            int id;
            if (parts.Length != 4 || parts[0] != "farshore-event" || !int.TryParse(parts[1], out id)) return null;
            return new AgentEvent(id, parts[2], parts[3]);
        }
    }

    public sealed class AgentProcess
    {
        private const int LastWordsMost = 2000;
        private const int LastWordsMs = 2000;
        private readonly Process process = new Process();
        private readonly object gate = new object();
        private string lastWords = "";
        private bool isStopping;

        public event Action<AgentEvent> Told;
        /// <summary>It ended although nobody had asked it to: its exit code, and what it had said last.</summary>
        public event Action<int, string> Fell;

        /// <summary>Of launch.txt: the program, then its arguments, one a line.</summary>
        public static string[] ReadLaunch(string file)
        {
            var lines = new List<string>();
            foreach (string line in File.ReadAllLines(file, Encoding.UTF8)) if (line.Length > 0) lines.Add(line);
            if (lines.Count == 0) throw new InvalidDataException(file + " names no program");
            return lines.ToArray();
        }

        public void Start(string[] launch)
        {
            process.StartInfo = new ProcessStartInfo
            {
                FileName = launch[0],
                Arguments = CommandLine(launch),
                UseShellExecute = false,
                CreateNoWindow = true,
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                StandardOutputEncoding = Encoding.UTF8,
                StandardErrorEncoding = Encoding.UTF8,
            };
            process.EnableRaisingEvents = true;
            process.OutputDataReceived += (sender, given) => Hear(given.Data);
            process.ErrorDataReceived += (sender, given) => Keep(given.Data);
            process.Exited += (sender, given) => Ended();
            process.Start();
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
        }

        /// <summary>The end of its input tells the agent to stop. False when it did not within the limit, and was ended with all that it had started.</summary>
        public bool Stop(int limitMs)
        {
            lock (gate) isStopping = true;
            try { process.StandardInput.Close(); }
            catch (IOException) { }
            if (process.WaitForExit(limitMs))
            {
                HearTheRest();
                return true;
            }
            Kill();
            return false;
        }

        // Its last lines. What it has left running may hold them open for ever.
        private void HearTheRest()
        {
            var hearing = new Thread(() => process.WaitForExit()) { IsBackground = true };
            hearing.Start();
            hearing.Join(LastWordsMs);
        }

        private void Kill()
        {
            try
            {
                if (Environment.OSVersion.Platform == PlatformID.Win32NT)
                {
                    string tool = Path.Combine(Environment.SystemDirectory, "taskkill.exe");
                    var order = new ProcessStartInfo(tool, "/PID " + process.Id + " /T /F") { UseShellExecute = false, CreateNoWindow = true };
                    using (Process ending = Process.Start(order)) ending.WaitForExit(5000);
                }
                else process.Kill();
            }
            catch (InvalidOperationException) { }
        }

        private void Hear(string line)
        {
            AgentEvent told = line == null ? null : AgentEvent.Read(line);
            if (told == null) Keep(line);
            else if (Told != null) Told(told);
        }

        private void Keep(string line)
        {
            if (string.IsNullOrEmpty(line)) return;
            lock (gate)
            {
                lastWords = lastWords + line + Environment.NewLine;
                if (lastWords.Length > LastWordsMost) lastWords = lastWords.Substring(lastWords.Length - LastWordsMost);
            }
        }

        private void Ended()
        {
            HearTheRest();
            bool wasAsked;
            string said;
            lock (gate)
            {
                wasAsked = isStopping;
                said = lastWords;
            }
            if (!wasAsked && Fell != null) Fell(process.ExitCode, said);
        }

        private static string CommandLine(string[] launch)
        {
            var text = new StringBuilder();
            for (int i = 1; i < launch.Length; i++)
            {
                if (i > 1) text.Append(' ');
                Quote(text, launch[i]);
            }
            return text.ToString();
        }

        // As CommandLineToArgvW reads it: backslashes count only before a quotation mark, and there they are doubled.
        private static void Quote(StringBuilder text, string argument)
        {
            text.Append('"');
            int slashes = 0;
            foreach (char letter in argument)
            {
                if (letter == '\\') slashes++;
                else
                {
                    text.Append('\\', letter == '"' ? 2 * slashes + 1 : slashes).Append(letter);
                    slashes = 0;
                }
            }
            text.Append('\\', 2 * slashes).Append('"');
        }
    }
}
