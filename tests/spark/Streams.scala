// Streams.scala - streams of a real Spark, batch by batch: see streams.c, which has the same ones, and compare.py.
package leat

import java.util.concurrent.ConcurrentHashMap
import org.apache.spark.SparkConf
import org.apache.spark.rdd.RDD
import org.apache.spark.streaming._
import org.apache.spark.streaming.dstream._
import scala.jdk.CollectionConverters._

/** Gives the i-th batch at the i-th batch time, empty ones after the last. */
class Feed(streaming: StreamingContext, batches: Seq[Seq[String]]) extends InputDStream[String](streaming) {
  def start(): Unit = {}
  def stop(): Unit = {}
  def compute(time: Time): Option[RDD[String]] = {
    val index = Streams.number(time) - 1
    Some(context.sparkContext.makeRDD(if (index < batches.size) batches(index) else Seq(), 2))
  }
}

object Streams {
  private var zero = -1L
  private val given = new ConcurrentHashMap[String, String]()

  /** The first time that is asked for is the first batch's. */
  def number(time: Time): Int = synchronized {
    if (zero < 0) zero = time.milliseconds - 1000
    ((time.milliseconds - zero) / 1000).toInt
  }

  private def inputs(path: String, which: Char): Seq[Seq[String]] =
    scala.io.Source.fromFile(path).getLines().filter(_.head == which).map(_.drop(2))
      .map(line => if (line == "-") Seq() else line.split(",").toSeq).toSeq

  def main(args: Array[String]): Unit = {
    val conf = new SparkConf().setMaster("local[2]").setAppName("streams").set("spark.ui.enabled", "false")
      .set("spark.driver.bindAddress", "127.0.0.1").set("spark.driver.host", "127.0.0.1")
    val context = new StreamingContext(conf, Seconds(1))
    context.sparkContext.setLogLevel("OFF")
    context.checkpoint(args(1))
    val rows = inputs(args(0), '1')
    val a = new Feed(context, rows)
    val b = new Feed(context, inputs(args(0), '2'))
    val pairsA = a.map((_, 1L))
    val pairsB = b.map((_, 10L))
    val add = (x: Long, y: Long) => x + y
    val subtract = (x: Long, y: Long) => x - y
    val runningSum = (v: Seq[Long], s: Option[Long]) => Some(s.getOrElse(0L) + v.sum): Option[Long]
    val sumBelowThree = (v: Seq[Long], s: Option[Long]) => runningSum(v, s).filter(_ < 3)

    def keep[T](name: String, stream: DStream[T]): Unit = stream.foreachRDD { (rdd: RDD[T], time: Time) =>
      val batch = number(time)
      if (batch <= rows.size) given.put(f"$name|$batch%02d", rdd.collect().map(_.toString).mkString(";"))
    }

    for ((length, slide) <- Seq((2, 1), (3, 2), (4, 4), (2, 3), (5, 1))) {
      val (l, s) = (Seconds(length), Seconds(slide))
      val sumsA = pairsA.reduceByKeyAndWindow(add, l, s)
      val sumsB = pairsB.reduceByKeyAndWindow(add, l, s)
      def windowed[T](what: String, stream: DStream[T]): Unit = keep(s"$what $length $slide", stream)
      windowed("window", a.window(l, s))
      windowed("count of window", a.window(l, s).count())
      windowed("reduceByKeyAndWindow", sumsA)
      windowed("with inverse", pairsA.reduceByKeyAndWindow(add, subtract, l, s))
      windowed("with filter", pairsA.reduceByKeyAndWindow(add, subtract, l, s, 2, (kv: (String, Long)) => kv._2 > 0))
      windowed("reduceByWindow", pairsA.map(_._2).reduceByWindow(add, l, s))
      windowed("reduceByWindow with inverse", pairsA.map(_._2).reduceByWindow(add, subtract, l, s))
      windowed("countByWindow", a.countByWindow(l, s))
      windowed("countByValueAndWindow", a.countByValueAndWindow(l, s))
      windowed("groupByKeyAndWindow", pairsA.groupByKeyAndWindow(l, s))
      windowed("join of windows", sumsA.join(sumsB))
      windowed("state behind a window", pairsA.window(l, s).updateStateByKey(runningSum))
    }
    keep("window of window", a.window(Seconds(2), Seconds(1)).window(Seconds(4), Seconds(2)))
    keep("reduceByKey", pairsA.reduceByKey(add))
    keep("countByValue", a.countByValue())
    keep("groupByKey", pairsA.groupByKey())
    keep("union", a.union(b))
    keep("reduce", pairsA.map(_._2).reduce(add))
    keep("count", a.count())
    keep("join", pairsA.join(pairsB))
    keep("leftOuterJoin", pairsA.leftOuterJoin(pairsB))
    keep("rightOuterJoin", pairsA.rightOuterJoin(pairsB))
    keep("fullOuterJoin", pairsA.fullOuterJoin(pairsB))
    keep("cogroup", pairsA.cogroup(pairsB))
    keep("updateStateByKey", pairsA.updateStateByKey(runningSum))
    keep("updateStateByKey that drops keys", pairsA.updateStateByKey(sumBelowThree))
    val untilFour = (_: Time, key: String, value: Option[Long], state: State[Long]) =>
      if (state.isTimingOut()) Some((key, -state.get()))
      else {
        val sum = state.getOption().getOrElse(0L) + value.get
        if (sum == 4) { state.remove(); Some((key, 1000L)) }
        else { state.update(sum); Some((key, sum)) }
      }
    val mapped = pairsA.mapWithState(StateSpec.function(untilFour).timeout(Seconds(3)))
    mapped.checkpoint(Seconds(2))
    keep("mapWithState", mapped)
    keep("stateSnapshots", mapped.stateSnapshots()) // the last output: the batch is whole when it is there

    context.start()
    while (!given.containsKey(f"stateSnapshots|${rows.size}%02d")) Thread.sleep(100)
    given.asScala.toSeq.sorted.foreach { case (batch, text) => println(s"$batch|$text") }
    Runtime.getRuntime.halt(0)
  }
}
