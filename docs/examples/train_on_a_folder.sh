#!/bin/sh
# From a folder of pictures with animals.csv to a signed bundle: sh train_on_a_folder.sh DATASET RUN LOCATOR.bundle card.yaml
# LOCATOR.bundle is a bundle whose locator finds the animals, its public key beside it as LOCATOR.pub.
set -eu
dataset=$1 run=$2 locator=$3 card=$4
cageclock-train check "$dataset"
cageclock-train crops "$dataset" --bundle "$locator" --trust "${locator%.bundle}.pub" --out "$run"
cageclock-train fit --out "$run"
cageclock-train quantise --out "$run"
cageclock-train evaluate --out "$run"
cageclock-train bundle --out "$run" --locator "$locator" --card-answers "$card"
echo "look at $run/report.html before you flash anything"
