// What AgentService does with an agent, without Windows: starts it, says what it tells, and stops it at a line of its own input.
using System;

namespace Farshore
{
    public static class Driver
    {
        public static int Main(string[] arguments)
        {
            var agent = new AgentProcess();
            agent.Told += told => Console.WriteLine("told " + told.Id + " " + told.Level + " " + told.Text);
            agent.Fell += (code, said) => Console.WriteLine("fell " + code + " " + said.Replace(Environment.NewLine, " | "));
            agent.Start(AgentProcess.ReadLaunch(arguments[0]));
            Console.ReadLine();
            Console.WriteLine("stopped " + agent.Stop(int.Parse(arguments[1])));
            return 0;
        }
    }
}
